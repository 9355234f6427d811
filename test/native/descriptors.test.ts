import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { constants, ftruncateSync, mkdirSync, openSync, readFileSync, readSync, symlinkSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { before, test } from 'node:test';
import type { Native } from '#native/binding.ts';
import { Fd } from '#native/handles.ts';
import { NativeError } from '#native/native-error.ts';
import { builtNative, openDescriptors, temporaryDirectory } from './fixture.ts';

let native: Native;
before(async () => {
  native = await builtNative();
});

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function assertSealed(fd: Fd): void {
  const refused = { code: 'EPERM' };
  assert.throws(() => writeSync(fd.number, 'x', 0), refused);
  assert.throws(() => ftruncateSync(fd.number, 0), refused);
  assert.throws(() => ftruncateSync(fd.number, 1 << 20), refused);
  const again = new Fd(openSync(`/proc/self/fd/${fd.number}`, constants.O_RDWR));
  assert.throws(() => writeSync(again.number, 'x', 0), refused);
  again.close();
}

test('a sealed program is a copy that nobody can change', () => {
  using fd = native.sealProgram(process.execPath);
  assert.equal(sha256(readFileSync(`/proc/self/fd/${fd.number}`)), sha256(readFileSync(process.execPath)));
  assertSealed(fd);
});

test('sealed bytes are read from their beginning', () => {
  const bytes = Buffer.alloc(300_000, 'plan ');
  using fd = native.sealBytes(bytes, 'plan');
  assertSealed(fd);
  assert.deepEqual(readFileSync(fd.number), bytes);
  using empty = native.sealBytes(new Uint8Array(0), 'empty');
  assert.equal(readFileSync(empty.number).length, 0);
});

test('what cannot be sealed is refused', () => {
  const errname = (expected: string) => (error: unknown) => error instanceof NativeError && error.errname === expected;
  assert.throws(() => native.sealProgram('/missing'), errname('ENOENT'));
  assert.throws(() => native.sealProgram('/dev/zero'), errname('EINVAL'));
  assert.throws(() => native.sealProgram('/'), errname('EINVAL'));
  assert.throws(() => native.sealBytes(new Uint8Array(1), 'x'.repeat(300)), errname('EINVAL'));
});

test('descriptors are sent on a socket, at once or not at all', () => {
  const errname = (expected: string) => (error: unknown) => error instanceof NativeError && error.errname === expected;
  const [ours, theirs] = native.socketpair();
  const { read, write } = native.pipe();
  native.sendDescriptors(ours.number, 'plan\n', [read, write]);
  const bytes = Buffer.alloc(16);
  assert.equal(readSync(theirs.number, bytes), 5);
  assert.equal(bytes.toString('latin1', 0, 5), 'plan\n');
  assert.throws(() => native.sendDescriptors(ours.number, '', [read]), errname('EINVAL'));
  assert.throws(() => native.sendDescriptors(ours.number, 'x', []), errname('EINVAL'));
  assert.throws(() => native.sendDescriptors(read.number, 'x', [read]), errname('ENOTSOCK'));
  theirs.close();
  assert.throws(() => native.sendDescriptors(ours.number, 'x', [read]), errname('EPIPE'));
  for (const fd of [ours, read, write]) fd.close();
});

test('a pipe and a socket pair carry bytes', async () => {
  const { read, write } = native.pipe();
  writeSync(write.number, 'through');
  write.close();
  assert.equal(readFileSync(read.number, 'utf8'), 'through');
  read.close();

  const [near, far] = native.socketpair();
  const sockets = [new Socket({ fd: near.take() }), new Socket({ fd: far.take() })] as const;
  const echoed = new Promise((resolve) => sockets[1].once('data', resolve));
  sockets[0].end('hello');
  assert.equal(String(await echoed), 'hello');
  for (const socket of sockets) socket.destroy();
});

test('a directory is opened, a link to one is not', () => {
  using directory = temporaryDirectory();
  const real = join(directory.path, 'real');
  mkdirSync(real);
  symlinkSync(real, join(directory.path, 'link'));
  native.openDir(real).close();
  assert.throws(
    () => native.openDir(join(directory.path, 'link')),
    (error) => error instanceof NativeError && error.step === 'open_dir' && ['ELOOP', 'ENOTDIR'].includes(error.errname),
  );
});

test('a descriptor that was closed or given away shows no number', () => {
  const before = openDescriptors().length;
  const { read, write } = native.pipe();
  const fd = new Fd(write.take());
  assert.equal(write.isOpen, false);
  assert.throws(() => write.number, /closed or given away/);
  write.close();
  fd.close();
  fd.close();
  assert.throws(() => fd.take(), /closed or given away/);
  read.close();
  assert.equal(openDescriptors().length, before);
});
