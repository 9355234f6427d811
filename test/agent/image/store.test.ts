/** Images and archives as roots: unpacked once, verified, shared, run by the real shim, and gone when nobody uses them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { imagesCommand } from '#agent/image/cli.ts';
import { openImageStore } from '#agent/image/store.ts';
import type { ImageStore } from '#agent/image/store.ts';
import { PolicyFile, policyOf } from '#agent/policy/model.ts';
import { readKernelFacts } from '#agent/sandbox/kernel-facts.ts';
import { compileSandboxPlan } from '#agent/sandbox/plan.ts';
import { readHostRootFacts } from '#agent/sandbox/root-facts.ts';
import { prepareSources } from '#agent/sandbox/sources.ts';
import { createLog } from '#shared/log.ts';
import { SandboxSpec } from '#shared/sandbox.ts';
import type { SandboxSpecInput } from '#shared/sandbox.ts';
import { fileURLToPath } from 'node:url';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { archiveOf, layoutOf, writeLayout } from '#test/support/images.ts';
import type { TestImage } from '#test/support/images.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { makeRoot } from '#test/support/roots.ts';
import { idRange } from '#test/support/sandbox.ts';
import { loadShims } from '#test/support/shim.ts';
import type { Shims } from '#test/support/shim.ts';
import { tarOf } from '#test/support/tar.ts';
import type { TarFields } from '#test/support/tar.ts';

leakCheck();
const dirs = temporaryDirectories();
const root = realpathSync(dirs.root);
const log = createLog('test', 'silent');
let shims: Shims;
/** A root with the host's dash and some programs, as an archive. */
let base: Buffer;
let made = 0;
before(async () => {
  shims = fileResources.use(await loadShims());
  const from = makeRoot(newDirectory());
  base = execFileSync('tar', ['--sort=name', '-C', from, '-c', '.'], { maxBuffer: 1 << 28 });
});

function newDirectory(): string {
  made += 1;
  const path = join(root, `dir-${made}`);
  mkdirSync(path);
  return path;
}

type Host = { store: ImageStore; state: string; placement: () => string };

async function host(options: { keepBytes?: number; bytes?: number } = {}): Promise<Host> {
  const state = newDirectory();
  const program = shims.native.sealProgram(fileURLToPath(import.meta.resolve('#native/build/nsfleet-shim')));
  fileResources.defer(() => program.close());
  const { keepBytes = 1 << 30, bytes = 1 << 30 } = options;
  const store = await openImageStore({
    native: shims.native,
    program,
    stateDirectory: state,
    limits: { bytes, entries: 10_000 },
    keepBytes,
    log,
  });
  let placements = 0;
  return {
    store,
    state,
    placement() {
      placements += 1;
      const path = join(state, 'placements', `00000000-0000-4000-8000-${String(placements).padStart(12, '0')}`);
      mkdirSync(path, { recursive: true, mode: 0o700 });
      return path;
    },
  };
}

const archiveFile = (bytes: Buffer, name = 'root.tar'): string => {
  const path = join(newDirectory(), name);
  writeFileSync(path, bytes);
  return path;
};
const layers = (state: string): string[] => readdirSync(join(state, 'images/layers')).toSorted();
const leftovers = (state: string): string[] => readdirSync(join(state, 'images/tmp'));
const file = (path: string, content = '', rest: Partial<TarFields> = {}): TarFields => ({ path, content, ...rest });

async function run({ store, placement }: Host, spec: SandboxSpecInput) {
  const directory = placement();
  const policy = policyOf(PolicyFile.parse({ version: 1 }), null, {}, []);
  const sources = await prepareSources({ policy, images: store }, SandboxSpec.parse(spec), 'web', directory);
  const kernel = readKernelFacts(true);
  const plan = compileSandboxPlan({ ...sources, name: 'web', idRange, owner: { uid: 0, gid: 0 }, host: readHostRootFacts(), kernel });
  const shim = shims.run(plan, directory);
  await shim.ended();
  const read = (name: string) => (existsSync(join(directory, name)) ? readFileSync(join(directory, name), 'utf8') : '');
  return { lines: shim.lines, stdout: read('stdout.log'), stderr: read('stderr.log'), directory, plan };
}

const sh = (script: string) => ['/bin/sh', '-c', script];

for (const [packing, pack] of [
  ['plain', (bytes: Buffer) => bytes],
  ['gzip', (bytes: Buffer) => gzipSync(bytes)],
  ['zstd', (bytes: Buffer) => zstdCompressSync(bytes)],
] as const) {
  test(`a tarball (${packing}) is a root, unpacked once`, async () => {
    const one = await host();
    const path = archiveFile(pack(base));
    const spec = { command: sh('cat /etc/motd; echo x > /etc/motd; stat -c %u:%g /bin/sh'), root: { type: 'tarball', path } } as const;
    const { stdout, stderr, lines } = await run(one, spec);
    assert.equal(stdout, 'hello from the root\n0:0\n', stderr + lines.join());
    const [layer] = layers(one.state);
    const before = statSync(join(one.state, 'images/layers', layer ?? '', 'fs'), { bigint: true });
    assert.equal((await run(one, spec)).stdout, 'hello from the root\n0:0\n', 'the layer was not written to');
    assert.equal(statSync(join(one.state, 'images/layers', layer ?? '', 'fs'), { bigint: true }).ino, before.ino);
    assert.deepEqual(leftovers(one.state), []);
  });
}

const changed = tarOf([
  file('etc/.wh.motd'),
  file('etc/new', 'of the second layer\n', { uid: 1000, gid: 1000 }),
  { path: 'tmp', type: '5', mode: 0o1777 },
  file('tmp/.wh..wh..opq'),
  file('usr/bin/tool', '#!/bin/sh\necho tool "$@" as $(stat -Lc %u /proc/self) in "$PWD" with "$GREETING"\n', { mode: 0o755 }),
]);
const image = (rest: Partial<TestImage> = {}): TestImage => ({
  layers: [
    { archive: base, packing: 'gzip' },
    { archive: changed, packing: 'zstd' },
  ],
  config: { Entrypoint: ['tool'], Cmd: ['default'], Env: ['GREETING=hello', 'PATH=/usr/bin:/bin'], User: '1000:1000', WorkingDir: '/etc' },
  ...rest,
});

for (const form of ['directory', 'archive'] as const) {
  test(`an OCI image (${form}): layers over each other, its process as docker starts it`, async () => {
    const one = await host();
    const layout = layoutOf([image({ reference: 'web:1' })]);
    const path = form === 'directory' ? writeLayout(newDirectory(), layout) : archiveFile(archiveOf(layout));
    const oci = { type: 'oci', path } as const;
    const first = await run(one, { command: [], root: oci });
    assert.equal(first.stdout, 'tool default as 1000 in /etc with hello\n', first.stderr + first.lines.join());
    assert.equal(
      (await run(one, { command: ['other'], root: oci, env: { GREETING: 'bye' }, user: { uid: 7, gid: 7 }, cwd: '/' })).stdout,
      'tool other as 7 in / with bye\n',
    );
    const looked = await run(one, {
      command: ['ls /etc/motd; cat /etc/new; stat -c %u /etc/new; ls /tmp'],
      root: { ...oci, entrypoint: sh('').slice(0, 2), reference: 'web:1' },
    });
    assert.equal(looked.stdout, 'of the second layer\n1000\n');
    assert.match(looked.stderr, /motd/, 'hidden by a whiteout');
    assert.deepEqual(layers(one.state), (layout.digests[0]?.diffIds ?? []).map((digest) => digest.slice(7)).toSorted());
    const use = JSON.parse(readFileSync(join(first.directory, 'image.json'), 'utf8')) as { digest: string; user: string };
    assert.deepEqual([use.digest, use.user], [layout.digests[0]?.manifest, '1000:1000']);
    assert.match(await imagesCommand(['ls'], one.state), /^DIGEST .*\n[0-9a-f]{12} +web:1 +2 +[0-9.]+ MiB +3 /);
  });
}

test('docker save before version 25', async () => {
  const one = await host();
  const { files, digests } = layoutOf([image()]);
  const config = JSON.parse((files.get(`blobs/sha256/${digests[0]?.manifest.slice(7)}`) ?? assert.fail()).toString()) as {
    config: { digest: string };
  };
  const hex = config.config.digest.slice(7);
  const configuration = files.get(`blobs/sha256/${hex}`) ?? assert.fail();
  const saved = (content: Buffer) =>
    archiveFile(
      tarOf([
        { path: `${hex}.json`, content },
        { path: 'a/layer.tar', content: base },
        { path: 'b/layer.tar', content: changed },
        file('manifest.json', JSON.stringify([{ Config: `${hex}.json`, RepoTags: ['web:1'], Layers: ['a/layer.tar', 'b/layer.tar'] }])),
      ]),
    );
  const { stdout } = await run(one, { command: [], root: { type: 'oci', path: saved(configuration) } });
  assert.equal(stdout, 'tool default as 1000 in /etc with hello\n');
  const forged = Buffer.from(configuration.toString().replace('hello', 'hullo'));
  await assert.rejects(one.store.prepare({ ...ociRoot, path: saved(forged) }, one.placement()), {
    code: 'IMAGE_REFUSED',
    reason: /^verify: /,
  });
});

const common = { writable: true, upper: { type: 'disk' } } as const;
const ociRoot = { type: 'oci', path: '', ...common } as const;
const tarRoot = { type: 'tarball', path: '', ...common } as const;

test('which image: by name, digest and platform', async () => {
  const one = await host();
  const marked = (mark: string, rest: Partial<TestImage>) => image({ layers: [{ archive: tarOf([file(mark)]) }], ...rest });
  const layout = layoutOf([
    marked('one', { reference: 'one' }),
    marked('two', { reference: 'two' }),
    marked('other', { reference: 'one', platform: { os: 'linux', architecture: 's390x' } }),
  ]);
  const path = writeLayout(newDirectory(), layout);
  const marks = async (rest: object) =>
    readdirSync((await one.store.prepare({ ...ociRoot, path, ...rest }, one.placement())).layers[0] ?? '');
  assert.deepEqual(await marks({ reference: 'one' }), ['one']);
  assert.deepEqual(await marks({ reference: layout.digests[1]?.manifest }), ['two']);
  assert.deepEqual(await marks({ platform: 'linux/s390x' }), ['other']);
  const refused = (rest: object, reason: RegExp) => assert.rejects(marks(rest), { code: 'IMAGE_REFUSED', reason });
  await refused({}, /^choose: it holds 2 images: name one of one, two/);
  await refused({ reference: 'three' }, /^choose: no image of it is three; there are: one, two, one/);
  await refused({ reference: 'two', platform: 'linux/s390x' }, /^choose: none of its images is for linux\/s390x/);
  assert.deepEqual(leftovers(one.state), []);
});

test('nothing is taken that is not what its digest says', async () => {
  const { files, digests } = layoutOf([image()]);
  const [{ manifest, blobs, diffIds } = assert.fail()] = digests;
  const document = JSON.parse((files.get(`blobs/sha256/${manifest.slice(7)}`) ?? assert.fail()).toString()) as {
    config: { digest: string };
  };
  const cases: [string, (bytes: Buffer) => Buffer][] = [
    [manifest, (bytes) => Buffer.concat([bytes, Buffer.from(' ')])],
    [document.config.digest, (bytes) => Buffer.from(bytes.toString().replace('tool', 'fool'))],
    [blobs[0] ?? '', () => gzipSync(changed)],
    [blobs[1] ?? '', () => zstdCompressSync(tarOf([file('evil')]))],
    [blobs[0] ?? '', (bytes) => bytes.subarray(0, -20)],
  ];
  for (const [digest, change] of cases) {
    const one = await host();
    const key = `blobs/sha256/${digest.slice(7)}`;
    const path = writeLayout(newDirectory(), { files: new Map(files).set(key, change(files.get(key) ?? assert.fail())), digests });
    const placement = one.placement();
    await assert.rejects(one.store.prepare({ ...ociRoot, path }, placement), { code: 'IMAGE_REFUSED' }, digest);
    assert.deepEqual(readdirSync(placement), []);
    assert.ok(layers(one.state).length < 2);
    assert.deepEqual(leftovers(one.state), []);
  }
  const one = await host();
  const path = writeLayout(newDirectory(), { files, digests });
  rmSync(join(path, 'blobs/sha256', (blobs[1] ?? '').slice(7)));
  await assert.rejects(one.store.prepare({ ...ociRoot, path }, one.placement()), {
    code: 'IMAGE_REFUSED',
    reason: /open: .* is not there/,
  });
  assert.deepEqual(layers(one.state), [diffIds[0]?.slice(7)], 'the honest layers stay');
});

test('hostile archives and layouts: typed errors, nothing left, nothing told of other files', async () => {
  const one = await host({ bytes: 200 * 1024 * 1024 });
  const refused = async (path: string, reason: RegExp, code = 'IMAGE_REFUSED') => {
    const placement = one.placement();
    await assert.rejects(one.store.prepare({ ...tarRoot, path }, placement), { code, reason });
    assert.deepEqual([readdirSync(placement), leftovers(one.state), layers(one.state)], [[], [], []]);
  };
  await refused(archiveFile(gzipSync(tarOf([file('../../escape')]))), /^path: /);
  await refused(archiveFile(gzipSync(Buffer.alloc(100 * 1024 * 1024))), /^(decompress: it grows|read header)/);
  const zeros = tarOf([file('zeros', '\0'.repeat(150 * 1024 * 1024))]);
  await refused(archiveFile(gzipSync(zeros)), /^decompress: it grows to more than 250 times its size/);
  await refused(archiveFile(gzipSync(base).subarray(0, 5000)), /^read: /);
  await refused(archiveFile(Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), Buffer.alloc(100, 7)])), /^read: /);
  await refused(newDirectory(), /no regular file/, 'ROOT_REFUSED');
  await refused(join(root, 'nothing'), /ENOENT/, 'ROOT_REFUSED');
  symlinkSync(archiveFile(base), join(root, 'link.tar'));
  await refused(join(root, 'link.tar'), /ELOOP/, 'ROOT_REFUSED');
  const secret = join(root, 'secret');
  writeFileSync(secret, 'root:$6$verysecret:19000:0:99999:7:::');
  for (const name of ['index.json', 'manifest.json']) {
    const path = newDirectory();
    symlinkSync(secret, join(path, name));
    await assert.rejects(
      one.store.prepare({ ...ociRoot, path }, one.placement()),
      (error: Error & { reason: string }) => !error.reason.includes('verysecret') && /^open: .*ELOOP/.test(error.reason),
    );
    rmSync(join(path, name));
    writeFileSync(join(path, name), readFileSync(secret));
    await assert.rejects(
      one.store.prepare({ ...ociRoot, path }, one.placement()),
      (error: Error & { reason: string }) => !error.reason.includes('verysecret') && /no JSON/.test(error.reason),
    );
  }
});

test('many at once unpack a layer once, and each gets it', async () => {
  const one = await host();
  const path = writeLayout(newDirectory(), layoutOf([image()]));
  const prepared = await Promise.all(Array.from({ length: 8 }, () => one.store.prepare({ ...ociRoot, path }, one.placement())));
  assert.equal(new Set(prepared.map(({ layers }) => layers.join())).size, 1);
  assert.equal(layers(one.state).length, 2);
  assert.deepEqual(leftovers(one.state), []);
});

test('what a placement uses stays; the rest goes by rm, gc, or when it is too much', async () => {
  const one = await host();
  const path = writeLayout(newDirectory(), layoutOf([image({ reference: 'web' })]));
  const other = archiveFile(tarOf([file('alone', 'x')]));
  const [first, second] = [one.placement(), one.placement()];
  await one.store.prepare({ ...ociRoot, path }, first);
  await one.store.prepare({ ...tarRoot, path: other }, second);
  assert.match(await imagesCommand(['gc'], one.state), /^removed 0 layers, 0.0 MiB; 3 are in use/);
  await assert.rejects(imagesCommand(['rm', 'web'], one.state), { code: 'ILLEGAL_TRANSITION' });
  rmSync(second, { recursive: true });
  assert.match(await imagesCommand(['gc', '--unused-for', '1h'], one.state), /^removed 0 layers/);
  assert.match(await imagesCommand(['gc'], one.state), /^removed 1 layers/);
  rmSync(first, { recursive: true });
  await assert.rejects(imagesCommand(['rm', 'no-such'], one.state), { code: 'NOT_FOUND' });
  assert.match(await imagesCommand(['rm', 'web'], one.state), /removed with 2 layers/);
  assert.deepEqual([layers(one.state), leftovers(one.state), readdirSync(join(one.state, 'images/images'))], [[], [], []]);
  // Again, as if nothing had been.
  await one.store.prepare({ ...tarRoot, path: other }, one.placement());
  assert.equal(layers(one.state).length, 1);
  for (const wrong of [['rm'], ['gc', '--unused-for', 'long'], ['ls', '--what'], ['what']])
    await assert.rejects(imagesCommand(wrong, one.state), { code: 'USAGE' });
});

test('an earlier life’s half-made layers are removed, and a used one that was being removed comes back', async () => {
  const one = await host();
  const placement = one.placement();
  await one.store.prepare({ ...tarRoot, path: archiveFile(base) }, placement);
  const [hex = ''] = layers(one.state);
  const images = join(one.state, 'images');
  execFileSync('mv', [join(images, 'layers', hex), join(images, 'tmp', `gone-${hex}`)]);
  mkdirSync(join(images, 'tmp/half/fs/x'), { recursive: true });
  mkdirSync(join(images, 'tmp', `gone-${'0'.repeat(64)}`));
  const program = shims.native.sealProgram(fileURLToPath(import.meta.resolve('#native/build/nsfleet-shim')));
  fileResources.defer(() => program.close());
  await openImageStore({ native: shims.native, program, stateDirectory: one.state, limits: { bytes: 1, entries: 1 }, keepBytes: 1, log });
  assert.deepEqual(layers(one.state), [hex]);
  assert.deepEqual(leftovers(one.state), []);
});
