/** Archives unpacked by the real shim: what honest ones hold is there, what hostile ones try is refused with its step, and nothing is outside. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, readlinkSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { unpackTar } from '#agent/image/unpack.ts';
import type { UnpackParts } from '#agent/image/unpack.ts';
import { buildNative } from '#native/build.mjs';
import { loadNative } from '#native/binding.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { tarEntry, tarOf } from '#test/support/tar.ts';
import type { TarFields } from '#test/support/tar.ts';

leakCheck();
/** It reads extended attributes, which Node cannot. */
const noPython = spawnSync('python3', ['--version']).error !== undefined && 'python3 is not installed';
const dirs = temporaryDirectories();
let parts: UnpackParts;
let made = 0;
before(async () => {
  await buildNative();
  const native = loadNative();
  const program = native.sealProgram(fileURLToPath(import.meta.resolve('#native/build/nsfleet-shim')));
  fileResources.defer(() => program.close());
  parts = { native, program };
});

const limits = { bytes: 1 << 30, entries: 10_000 };

function newDirectory(): string {
  made += 1;
  const path = join(dirs.root, `to-${made}`);
  mkdirSync(path);
  return path;
}

async function unpack(archive: Buffer, { layer = true, ...rest }: Partial<typeof limits> & { layer?: boolean } = {}) {
  const directory = newDirectory();
  const source = (async function* () {
    // In pieces that fit no block.
    for (let at = 0; at < archive.length; at += 7001) yield archive.subarray(at, at + 7001);
  })();
  const facts = await unpackTar(parts, { source, directory, limits: { ...limits, ...rest }, layer, name: 'test.tar' });
  return { directory, facts };
}

const refused = (archive: Buffer, reason: RegExp, given = {}) => assert.rejects(unpack(archive, given), { code: 'IMAGE_REFUSED', reason });

const file = (path: string, content = 'x', rest: Partial<TarFields> = {}): TarFields => ({ path, content, ...rest });
const directory = (path: string, rest: Partial<TarFields> = {}): TarFields => ({ path, type: '5', mode: 0o755, ...rest });
const link = (path: string, target: string, type = '2'): TarFields => ({ path, type, link: target });

/** Everything below, as find(1) tells it. */
function listing(root: string): string {
  return execFileSync('find', ['.', '-printf', '%P %y %m %U:%G %s %T@ %l\n'], { cwd: root, encoding: 'utf8' })
    .split('\n')
    .toSorted()
    .join('\n');
}

for (const format of ['gnu', 'pax', 'ustar', 'v7'] as const) {
  test(`what tar writes (${format}) comes out as it went in`, async () => {
    const from = newDirectory();
    mkdirSync(join(from, 'dir/deeper'), { recursive: true });
    writeFileSync(join(from, 'dir/file'), 'content\n', { mode: 0o640 });
    writeFileSync(join(from, 'empty'), '');
    writeFileSync(join(from, 'big'), Buffer.alloc(3_000_001, 'abc'));
    symlinkSync('../../../etc/passwd', join(from, 'dir/link'));
    execFileSync(
      'sh',
      ['-c', 'ln dir/file hard; chown 12:34 empty; chown -h 5:6 dir/link; chmod 4755 big; touch -d 1999-01-02T03:04:05 dir'],
      { cwd: from },
    );
    if (format !== 'v7') execFileSync('mknod', [join(from, 'pipe'), 'p']);
    if (format === 'gnu' || format === 'pax') {
      writeFileSync(join(from, 'long'.repeat(50)), '');
      symlinkSync('x'.repeat(300), join(from, 'long-link'));
      writeFileSync(Buffer.concat([Buffer.from(`${from}/`), Buffer.from([0xff, 0xfe, 0x41])]), 'bytes that are no text');
    }
    const { directory, facts } = await unpack(
      execFileSync('tar', ['--sort=name', `--format=${format}`, '-C', from, '-c', '.'], { maxBuffer: 1 << 26 }),
    );
    const times = (text: string) => (format === 'pax' ? text : text.replaceAll(/\.[0-9]{10}/g, ''));
    assert.equal(times(listing(directory)), times(listing(from)));
    assert.equal(statSync(join(directory, 'hard')).nlink, 2);
    assert.equal(facts.skipped, 0);
    execFileSync('sh', ['-c', 'diff -r --no-dereference --exclude=pipe "$1" "$2"', 'sh', from, directory]);
  });
}

for (const version of ['gnu', '0.0', '0.1', '1.0'] as const) {
  test(`a file with holes (${version}) has its bytes where they were`, async () => {
    const from = newDirectory();
    execFileSync(
      'sh',
      [
        '-c',
        'truncate -s 20M s; i=0; while [ $i -lt 30 ]; do printf "data$i" | dd of=s conv=notrunc bs=1 seek=$((i * 655360 + 17)) 2>/dev/null; i=$((i + 1)); done',
      ],
      { cwd: from },
    );
    const format = version === 'gnu' ? ['--format=gnu'] : ['--format=pax', `--sparse-version=${version}`];
    const archive = execFileSync('tar', [...format, '-S', '-C', from, '-c', 's'], { maxBuffer: 1 << 26 });
    assert.ok(archive.length < 1_000_000);
    const { directory } = await unpack(archive);
    assert.ok(readFileSync(join(from, 's')).equals(readFileSync(join(directory, 's'))));
    assert.ok(statSync(join(directory, 's')).blocks * 512 < 2_000_000, 'holes stay holes');
  });
}

test('a later entry of a name takes the place of an earlier one', async () => {
  const { directory: root } = await unpack(
    tarOf([
      file('a', 'first'),
      link('b', 'nowhere'),
      directory('c', { mode: 0o700 }),
      file('c/kept'),
      directory('d'),
      file('a', 'second', { mode: 0o600 }),
      file('b', 'file'),
      directory('c', { mode: 0o711 }),
      link('d', 'a'),
      link('e', 'a', '1'),
      file('e', 'own'),
    ]),
  );
  assert.equal(readFileSync(join(root, 'a'), 'utf8'), 'second');
  assert.equal(readFileSync(join(root, 'b'), 'utf8'), 'file');
  assert.ok(existsSync(join(root, 'c/kept')));
  assert.equal(statSync(join(root, 'c')).mode & 0o777, 0o711);
  assert.equal(readlinkSync(join(root, 'd')), 'a');
  assert.equal(readFileSync(join(root, 'e'), 'utf8'), 'own');
  await refused(tarOf([directory('c'), file('c/x'), file('c', 'y')]), /^file: c: ENOTEMPTY/);
});

test('whiteouts become overlayfs’s own, of lower layers only', { skip: noPython }, async () => {
  const { directory: root, facts } = await unpack(
    tarOf([
      file('.wh.gone', ''),
      directory('dir'),
      file('dir/.wh..wh..opq', ''),
      file('dir/new'),
      file('late/.wh.name', ''),
      directory('late/name'),
      directory('both'),
      file('both/kept'),
      file('.wh.both', ''),
      file('.wh..wh.plnk', ''),
    ]),
  );
  const isWhiteout = (path: string) => lstatSync(join(root, path)).isCharacterDevice() && lstatSync(join(root, path)).rdev === 0;
  const isOpaque = (path: string) =>
    execFileSync('python3', ['-c', 'import os,sys; print(os.getxattr(sys.argv[1], "trusted.overlay.opaque"))', join(root, path)], {
      encoding: 'utf8',
    }) === "b'y'\n";
  assert.ok(isWhiteout('gone'));
  for (const path of ['dir', 'late/name', 'both']) assert.ok(isOpaque(path), path);
  assert.ok(existsSync(join(root, 'both/kept')) && existsSync(join(root, 'dir/new')));
  assert.equal(existsSync(join(root, '.wh..wh.plnk')), false);
  assert.equal(facts.opaque, false);
  assert.equal((await unpack(tarOf([file('.wh..wh..opq', '')]))).facts.opaque, true);
  const plain = await unpack(tarOf([file('.wh.name', 'a file of that name')]), { layer: false });
  assert.equal(readFileSync(join(plain.directory, '.wh.name'), 'utf8'), 'a file of that name');
  for (const name of ['.wh.', '.wh..', '.wh...']) await refused(tarOf([file(`d/${name}`)]), /^whiteout: /);
});

test('nothing leads out: .., absolute names, symlinks as parents, hardlinks (row 54)', async () => {
  const outside = newDirectory();
  writeFileSync(join(outside, 'secret'), 'secret', { mode: 0o600 });
  for (const path of ['../x', 'a/../../x', '..', '/../x', './..//x']) await refused(tarOf([file(path)]), /^path: .*leads out/);
  await refused(tarOf([link('a', '../../etc/shadow', '1')]), /^path: /);
  for (const target of [join(outside, 'secret'), '/etc/passwd', 'nothing'])
    await refused(tarOf([link('a', target, '1')]), /^hardlink: a: ENOENT/);
  const { directory: root } = await unpack(
    tarOf([
      file('/absolute', 'inside'),
      link('out', outside),
      link('up', '../../../../../../..'),
      link('self', '/proc/self/root'),
      file('up/up-made', 'inside'),
    ]),
  );
  assert.equal(readFileSync(join(root, 'absolute'), 'utf8'), 'inside');
  assert.equal(readFileSync(join(root, 'up-made'), 'utf8'), 'inside', '.. of the root is the root');
  await refused(tarOf([link('out', outside), file('out/x')]), /^file: out\/x: /);
  await refused(tarOf([link('out', outside), file('out/secret', 'overwritten')]), /^file: /);
  await refused(tarOf([link('out', outside), link('copy', 'out/secret', '1')]), /^hardlink: copy: ENOENT/);
  await refused(tarOf([link('proc', '/proc/self/root'), link('copy', 'proc/etc/passwd', '1')]), /^hardlink: copy: ELOOP/);
  await refused(tarOf([link('a', 'b'), link('b', 'a'), file('a/x')]), /ELOOP/);
  await refused(tarOf([directory('d'), link('h', 'd', '1')]), /^hardlink: h: EPERM/);
  // A symlink is taken away, not written through.
  const replaced = await unpack(tarOf([link('f', join(outside, 'secret')), file('f', 'own')]));
  assert.equal(readFileSync(join(replaced.directory, 'f'), 'utf8'), 'own');
  assert.deepEqual(readdirSync(outside), ['secret']);
  assert.equal(readFileSync(join(outside, 'secret'), 'utf8'), 'secret');
});

test('devices are left out, setuid bits stay, and only harmless attributes', { skip: noPython }, async () => {
  const xattrs = ['user.mine', 'user.overlay.redirect', 'trusted.overlay.opaque', 'security.capability'].map(
    (name) => [`SCHILY.xattr.${name}`, 'v'] as const,
  );
  const { directory: root, facts } = await unpack(
    tarOf([
      { path: 'disk', type: '4' },
      { path: 'null', type: '3' },
      file('su', 'x', { mode: 0o6755 }),
      file('marked', 'x', { pax: xattrs }),
    ]),
  );
  assert.deepEqual(readdirSync(root).toSorted(), ['marked', 'su']);
  assert.equal(statSync(join(root, 'su')).mode & 0o7777, 0o6755);
  assert.equal(facts.skipped, 5);
  const listed = execFileSync('python3', ['-c', 'import os,sys; print(os.listxattr(sys.argv[1]))', join(root, 'marked')], {
    encoding: 'utf8',
  });
  assert.equal(listed, "['user.mine']\n");
});

test('limits: entries, bytes, extended headers, owners', async () => {
  await refused(tarOf(Array.from({ length: 11 }, (_, index) => file(`f${index}`, ''))), /^count: .*more than 10 entries/, { entries: 10 });
  await refused(tarOf([file('a', 'x'.repeat(600)), file('b', 'x'.repeat(600))]), /^count: .*more than 1000 bytes/, { bytes: 1000 });
  const holes: [string, string][] = [
    ['GNU.sparse.size', '9000000000000'],
    ['GNU.sparse.map', '0,1'],
  ];
  await refused(tarOf([file('sparse', 'x', { pax: holes })]), /^count: /);
  await refused(tarOf([{ path: 'x', type: 'x', size: 2_000_000 }]), /^read extended header: .*limit/);
  await refused(tarOf([file('a', '', { uid: 65_536 })]), /^owner: "a" belongs to 65536:0/);
  await refused(tarOf([file('a', '', { pax: [['gid', '4294967295']] })]), /^owner: /);
  await refused(tarOf([file(`${'d/'.repeat(3000)}x`, '', { pax: [['path', `${'d/'.repeat(3000)}x`]] })]), /^path: .*longer/);
  await refused(tarOf([file('x', '', { pax: [['path', 'n'.repeat(300)]] })]), /^file: n+: ENAMETOOLONG/);
});

test('what is no tar archive, or is cut, says so', async () => {
  await refused(Buffer.alloc(2048, 'x'), /^read header: /);
  await refused(Buffer.from('short'), /^read: /);
  const whole = tarOf([file('a', 'x'.repeat(5000))]);
  for (const at of [100, 600, 3000]) await refused(whole.subarray(0, at), /^read: it ends in the middle/);
  await refused(tarOf([file('a', 'x', { tamper: (header) => header.write('9', 124) })]), /^read header: size is no number/);
  await refused(tarOf([file('a', 'x', { tamper: (header) => header.write('000001', 148) })]), /^read header: its checksum/);
  await refused(tarOf([{ path: 'a', type: 'M' }]), /^read header: entry of type "M"/);
  for (const bad of ['5 a=b\n', 'x', '99999999 a=b\n', '0 =\n'])
    await refused(tarOf([{ path: 'p', type: 'x', content: bad }]), /^read extended header: a record/);
  for (const map of ['0', '0,1,0,1', '5,9', '0,99999999999999999999', 'a,b'])
    await refused(
      tarOf([
        file('s', 'x', {
          pax: [
            ['GNU.sparse.size', '10'],
            ['GNU.sparse.map', map],
          ],
        }),
      ]),
      /^read sparse map: /,
    );
  const empty = await unpack(Buffer.alloc(1024));
  assert.deepEqual(readdirSync(empty.directory), []);
  assert.equal((await unpack(tarEntry(file('a')))).facts.entries, 1, 'an archive without its end');
});
