/** The search for holders: what it must not take for one, what it may not see, and that it leaves nothing behind. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Native } from '#native/binding.ts';
import type { MountDoor, ReferenceRow, References } from '#native/types.ts';
import { gather } from '#test/bench/crowd.ts';
import { asNobody } from '#test/support/as-nobody.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { builtNative, children, noFuse, openDescriptors, running, sleeps, slowFuse, temporaryDirectory } from './fixture.ts';

leakCheck();
const skip = process.geteuid?.() !== 0 && 'needs root';

let native: Native;
before(async () => {
  native = await builtNative();
});

function ownOf({ references }: References): ReferenceRow[] {
  return references.filter(({ pid }) => pid === process.pid);
}

function inodeOf({ namespaces }: References, { namespaceIndex }: ReferenceRow): number | undefined {
  return namespaces[namespaceIndex]?.inode;
}

async function ownDoor(): Promise<MountDoor[]> {
  return [{ pid: process.pid }];
}

test('a descriptor of this process is found, the lowest of several alike', async () => {
  const first = openSync('/proc/self/ns/uts', 'r');
  const second = openSync('/proc/self/ns/uts', 'r');
  try {
    const found = await native.references({ pids: [process.pid] });
    const own = ownOf(found).filter((row) => found.namespaces[row.namespaceIndex]?.type === 'uts');
    assert.deepEqual(
      own.map(({ kind, fd }) => ({ kind, fd })),
      [{ kind: 'fd', fd: Math.min(first, second) }],
    );
    assert.equal(inodeOf(found, own[0] as ReferenceRow), statSync('/proc/self/ns/uts').ino);
    assert.equal(own[0]?.startTicks, native.processStart(process.pid).toString());
    assert.equal(Buffer.from(own[0]?.comm ?? []).toString(), readFileSync('/proc/self/comm', 'utf8').trim());
  } finally {
    closeSync(first);
    closeSync(second);
  }
  assert.deepEqual(ownOf(await native.references({ pids: [process.pid] })), []);
});

test('what scans hold for a moment is no holder', async () => {
  for (let round = 0; round < 20; round++) {
    const scans = [native.scan(), native.scan()];
    assert.deepEqual(ownOf(await native.references()), [], `round ${round}`);
    await Promise.all(scans);
  }
});

test('sockets of the namespace that their process lives in are not reported', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    assert.deepEqual(ownOf(await native.references({ pids: [process.pid] })), []);
  } finally {
    server.close();
  }
});

test('an idle process that opens a namespace after all is found', { skip }, async () => {
  const child = spawn('sh', ['-c', 'read go; exec 7</proc/self/ns/ipc; echo done; read end'], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const of = async (): Promise<ReferenceRow[]> => (await native.references()).references.filter(({ pid }) => pid === child.pid);
    for (let round = 0; round < 3; round++) assert.deepEqual(await of(), []);
    child.stdin.write('\n');
    await once(child.stdout, 'data');
    assert.deepEqual(
      (await of()).map(({ kind, fd }) => ({ kind, fd })),
      [{ kind: 'fd', fd: 7 }],
    );
  } finally {
    child.stdin.end('\n');
    await once(child, 'exit');
  }
});

test('a mount point with every kind of byte is told exactly', { skip }, async () => {
  using directory = temporaryDirectory();
  const name = Buffer.from([0x61, 0x20, 0x0a, 0x09, 0x5c, 0x30, 0x34, 0x30, 0x1b, 0x5b, 0xff, 0xc3, 0xa4]);
  const script = `mount -t tmpfs none '${directory.path}' && cd '${directory.path}' && printf '%b' "$1" > name && f=$(cat name; echo .); f="\${f%.}"; : > "$f" && mount --bind /proc/self/ns/net "$f" && exec sleep 60`;
  const escaped = [...name].map((byte) => `\\0${byte.toString(8).padStart(3, '0')}`).join('');
  await using child = await running(['unshare', '-m', 'sh', '-c', script, 'sh', escaped], sleeps);
  const found = await native.mounts([{ pid: child.pid }]);
  const path = `${directory.path}/${name.toString('latin1')}`;
  const own = found.references.find(({ text }) => Buffer.from(text).toString('latin1') === path);
  assert.equal(own?.covered, false, found.references.map(({ text }) => Buffer.from(text).toString('latin1')).join('\n'));
});

test('a mount namespace is found in by a process that was moved by chroot(2)', { skip }, async () => {
  using directory = temporaryDirectory();
  mkdirSync(join(directory.path, 'root'));
  const script = `mount -t tmpfs none '${directory.path}' && mkdir '${directory.path}/root' && : > '${directory.path}/net' && mount --bind /proc/self/ns/net '${directory.path}/net' && mount --bind / '${directory.path}/root' && exec chroot '${directory.path}/root' sleep 60`;
  await using child = await running(['unshare', '-m', 'sh', '-c', script], sleeps);
  const found = await native.mounts([{ pid: child.pid }]);
  const own = found.references.find(({ text }) => Buffer.from(text).toString() === `${directory.path}/net`);
  assert.equal(own?.covered, false);
  assert.equal(found.namespaces[own?.namespaceIndex ?? -1]?.inode, statSync('/proc/self/ns/net').ino);
});

test('it leaves no descriptor, process or mapping behind', { skip }, async () => {
  await native.references();
  await native.mounts(await ownDoor());
  const mappings = (): number => readFileSync('/proc/self/maps', 'utf8').split('\n').length;
  const before = { descriptors: openDescriptors().length, mappings: mappings() };
  for (let round = 0; round < 30; round++) {
    await native.references();
    await native.mounts(await ownDoor());
  }
  assert.equal(openDescriptors().length, before.descriptors);
  assert.ok(mappings() - before.mappings < 10, `${before.mappings} mappings became ${mappings()}`);
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'latin1').trim();
  assert.equal(children, '');
});

/** Runs SCRIPT, an expression of `native`, as nobody; what it gives, by JSON. */
function byNobody(place: string, script: string): unknown {
  const code = `const { loadNative } = await import('#native/binding.ts'); const native = loadNative(); console.log(JSON.stringify(${script}));`;
  const { file, args, cwd } = asNobody(place, ['--input-type=module', '-e', code]);
  return JSON.parse(execFileSync(file, args, { cwd, encoding: 'utf8' }));
}

test('a plain user is told what is hidden, and why', { skip }, () => {
  using directory = temporaryDirectory();
  execFileSync('chmod', ['755', directory.path]);
  const hidden = byNobody(directory.path, `(await native.references()).hidden`) as Record<string, number>;
  assert.ok((hidden['fd_eacces'] ?? 0) > 3, JSON.stringify(hidden));
  const mounts = byNobody(directory.path, `(await native.mounts([{ pid: 2 }, { pid: process.pid }])).hidden`) as Record<string, number>;
  // Other tests may have mounts here that this user cannot uncover.
  assert.equal(mounts['mountinfo_eacces'], 1, JSON.stringify(mounts));
});

test('a procfs with hidepid= is searched as far as it goes, and the rest is counted', { skip }, () => {
  using directory = temporaryDirectory();
  using proc = temporaryDirectory();
  execFileSync('chmod', ['755', directory.path]);
  const script = `const { loadNative } = await import('#native/binding.ts'); const found = await loadNative().references({ proc: '${proc.path}' }); console.log(JSON.stringify(found.hidden));`;
  const { file, args, cwd } = asNobody(directory.path, ['--input-type=module', '-e', script]);
  const inside = `mount -t proc -o hidepid=invisible proc '${proc.path}' && exec "$@"`;
  const text = execFileSync('unshare', ['-m', 'sh', '-c', inside, 'sh', file, ...args], { cwd, encoding: 'utf8' });
  const hidden = JSON.parse(text) as Record<string, number>;
  assert.ok((hidden['invisible_threads'] ?? 0) > 3, text);
  assert.equal(hidden['fd_eacces'], undefined, 'nobody else shows');
});

test('with too little room at first, and more processes than are remembered, the whole is found', { skip }, async () => {
  const small = await builtNative({ foundRoom: { references: 1, namespaces: 1, textBytes: 1 } });
  await using _crowd = await gather(1500, { sockets: true });
  const ofCrowd = async (search: Native): Promise<string[]> =>
    (await search.references()).references
      .filter(({ comm }) => Buffer.from(comm).toString().startsWith('crowd'))
      .map(({ kind, pid, fd }) => `${kind} ${pid} ${fd}`)
      .toSorted();
  const usual = await ofCrowd(native);
  assert.ok(usual.length > 1000, 'their standard output is a socket of another network namespace');
  for (let round = 0; round < 3; round++) assert.deepEqual(await ofCrowd(small), usual, `round ${round}`);
});

for (const mode of ['late', 'hang'] as const) {
  test(
    `a file system that answers ${mode === 'late' ? 'late' : 'never'} leaves no descriptor, and a bounded number of children`,
    {
      skip: noFuse,
    },
    async () => {
      using directory = temporaryDirectory();
      {
        await using fuse = await slowFuse(mode, directory.path);
        const before = openDescriptors().length;
        const around = children().length;
        let hidden: Record<string, number> = {};
        for (let round = 0; round < (mode === 'late' ? 2 : 6); round++) {
          const found = await native.mounts([{ pid: fuse.pid }]);
          // What others keep in /run/netns has been copied into its mount namespace.
          const held = found.references
            .filter(({ kind }) => kind === 'mount')
            .map(({ namespaceIndex }) => found.namespaces[namespaceIndex]?.type);
          assert.ok(held.includes('uts'), held.join(' '));
          hidden = found.hidden;
        }
        const most = mode === 'late' ? 0 : 4;
        assert.ok(openDescriptors().length - before <= most, 'each of those that hang is held by one');
        assert.ok(children().length - around <= most, 'and no more of them');
        assert.equal(hidden['unkillable_children'] ?? 0, children().length - around, 'each is told of');
      }
      // Nobody holds them any more: the next search that needs a visitor finds them ended.
      const deadline = Date.now() + 10_000;
      using sleeper = await sleepsInCoveredPlace();
      while (children().length > 1 && Date.now() < deadline) await native.mounts([{ pid: sleeper.pid }]);
      assert.deepEqual(children(), [String(sleeper.pid)]);
      assert.equal((await native.mounts([{ pid: sleeper.pid }])).hidden['unkillable_children'], undefined);
    },
  );
}

test('a file system that stands over a namespace and answers nothing is not asked', { skip: noFuse }, async () => {
  using directory = temporaryDirectory();
  await using fuse = await slowFuse('cover', directory.path);
  const late = sleep(15_000, null, { ref: false });
  const found = await Promise.race([native.mounts([{ pid: fuse.pid }]), late]);
  assert.ok(found !== null, 'it is waited for');
  const held = found.references.find(({ text }) => Buffer.from(text).toString() === fuse.held);
  assert.ok(held?.covered);
  assert.equal(found.namespaces[held.namespaceIndex]?.type, 'uts');
  assert.ok((found.namespaces[held.namespaceIndex]?.dev ?? 0) > 0, 'found behind it, and not only by its inode');
  assert.equal(found.hidden['unkillable_children'], undefined);
});

/** In a mount namespace with an over-mounted namespace, for which a search needs a visitor. */
async function sleepsInCoveredPlace(): Promise<Disposable & { pid: number }> {
  const script =
    'mount -t tmpfs none /mnt && : > /mnt/held && mount --bind /proc/self/ns/uts /mnt/held && mount -t tmpfs none /mnt && echo ready && exec sleep 60';
  const child = spawn('unshare', ['-m', '-u', '--propagation', 'private', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return { pid: child.pid ?? 0, [Symbol.dispose]: () => void child.kill('SIGKILL') };
}
