/** Run by sanitize.test.ts under LD_PRELOAD; argv[2] is the sanitized library. Ends with "done", or is ended. */
import assert from 'node:assert/strict';
import { loadNative } from '#native/binding.ts';
import { namespaceLinks } from '#native/types.ts';

const library = process.argv[2] ?? '';
const native = loadNative({ library, scanRows: { processes: 1, namespaces: 1 } });
for (let round = 0; round < 20; round++) await native.scan();
const small = loadNative({ library, foundRoom: { references: 1, namespaces: 1, textBytes: 1 } });
for (let round = 0; round < 5; round++) {
  const { namespaces } = await native.scan();
  const doors = namespaces.filter(({ type, leaderPid }) => type === 'mnt' && leaderPid > 0).map(({ leaderPid }) => ({ pid: leaderPid }));
  for (const search of [native, small]) {
    await search.references();
    await search.references({ pids: [process.pid, 1, 0x7fffffff, -1] });
    await search.mounts([...doors, { pid: process.pid, fd: 0 }, { pid: 0x7fffffff }]);
  }
}
for (const type of namespaceLinks) native.relate({ pid: process.pid, type });
assert.throws(() => native.relate({ path: '/proc/self/ns/missing' }));
assert.throws(() => native.sealProgram(`/${'long/'.repeat(300)}`));
await assert.rejects(native.scan({ proc: '/dev' }));

using program = native.sealProgram('/bin/true');
using directory = native.openDir('/');
using bytes = native.sealBytes(Buffer.alloc(100_000, 1), 'bytes');
for (let round = 0; round < 50; round++) {
  using child = native.spawn({ program, args: ['true', 'x'.repeat(round)], fds: [directory, bytes, directory], newSession: true });
  while (child.wait() === null) native.processStart(process.pid);
  assert.deepEqual(child.wait(), { code: 0, signal: 0 });
  assert.throws(() => native.spawn({ program: bytes, args: ['x'], fds: [], newSession: false }));
  using opened = native.openProcess(process.pid, native.processStart(process.pid));
  opened.signal(0);
  const { read, write } = native.pipe();
  const [ours, theirs] = native.socketpair();
  native.sendDescriptors(ours.number, 'plan\n', [read, write]);
  for (const end of [ours, theirs]) end.close();
  read.close();
  write.close();
}
console.log('done');
