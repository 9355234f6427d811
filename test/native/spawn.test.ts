import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { fileResources } from '#test/support/file-scope.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Native } from '#native/binding.ts';
import { Fd } from '#native/handles.ts';
import { NativeError } from '#native/native-error.ts';
import type { Child, ChildExit } from '#native/types.ts';
import { builtNative, compile, openDescriptors, temporaryDirectory } from './fixture.ts';

const directory = fileResources.use(temporaryDirectory());
let native: Native;
let program: Fd;

before(async () => {
  native = await builtNative();
  program = native.sealProgram(await compile('fd-probe.c', directory.path));
  fileResources.defer(() => program.close());
});

async function end(child: Child): Promise<ChildExit> {
  for (;;) {
    const exit = child.wait();
    if (exit) return exit;
    await sleep(2);
  }
}

/** The probe's report, by the first word of its lines. */
async function report(
  args: string[],
  arrange: (output: Fd, input: Fd) => Fd[],
  newSession = false,
): Promise<{ lines: Record<string, string[]>; exit: ChildExit }> {
  const { read, write } = native.pipe();
  using input = new Fd(openSync('/dev/null', 'r'));
  using child = native.spawn({ program, args, fds: arrange(write, input), newSession });
  write.close();
  const chunks: Buffer[] = [];
  for await (const chunk of new Socket({ fd: read.take(), readable: true })) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  const lines: Record<string, string[]> = {};
  for (const line of text.split('\n').slice(0, -1)) {
    const space = line.indexOf(' ');
    (lines[line.slice(0, space)] ??= []).push(line.slice(space + 1));
  }
  return { lines, exit: await end(child) };
}

function nameOf(number: number): string {
  const { dev, ino } = statSync(`/proc/self/fd/${number}`);
  return `${dev}:${ino}`;
}

test('the child has the given arguments, no environment and default signals', async () => {
  process.on('SIGUSR2', () => undefined);
  const { lines, exit } = await report(['probe', 'exit', '7', 'a b', ''], (output, input) => [input, output, input]);
  process.removeAllListeners('SIGUSR2');
  assert.deepEqual(lines['arg'], ['probe', 'exit', '7', 'a b', '']);
  assert.equal(lines['env'], undefined);
  const none = ['0000000000000000'];
  assert.deepEqual([lines['SigBlk'], lines['SigIgn'], lines['SigCgt']], [none, none, none]);
  assert.deepEqual(exit, { code: 7, signal: 0 });
});

test('the child has exactly the given descriptors, in every order', async () => {
  const stray = Array.from({ length: 20 }, () => native.spawn({ program, args: ['probe', 'wait'], fds: [], newSession: false }));
  try {
    for (const order of [0, 1, 2, 3, 4]) {
      let expected: string[] = [];
      const { lines } = await report(['probe', 'exit', '0'], (output, input) => {
        const others = [input, ...stray.slice(0, 4).map((child) => child.pidfd)];
        const rotated = [...others.slice(order), ...others.slice(0, order)];
        const fds = [rotated[0]!, output, ...rotated.slice(1), rotated[0]!];
        expected = fds.map((fd, index) => `${index} ${nameOf(fd.number)}`);
        return fds;
      });
      assert.deepEqual(lines['fd'], expected);
    }
  } finally {
    for (const child of stray) {
      child.signal(9);
      assert.deepEqual(await end(child), { code: -1, signal: 9 });
      child.close();
    }
  }
});

test('descriptors may trade places with low numbers', async () => {
  // This process's own 2, 1 and 0 become 0, 2 and 3 of the child: each is overwritten by another one's arrival.
  const [zero, one, two] = [new Fd(0), new Fd(1), new Fd(2)];
  const expected = [2, -1, 0, 1].map((number) => (number < 0 ? '' : nameOf(number)));
  const { lines } = await report(['probe', 'exit', '0'], (output) => [two, output, zero, one]);
  assert.deepEqual(
    lines['fd']?.filter((_, index) => index !== 1),
    expected.map((name, index) => `${index} ${name}`).filter((_, index) => index !== 1),
  );
  for (const fd of [zero, one, two]) fd.take();
});

test('this process’s own standard streams, which are not close-on-exec, stay out', async () => {
  const { lines } = await report(['probe', 'exit', '0'], (output, input) => [input, output]);
  assert.deepEqual(
    lines['fd']?.map((line) => line.split(' ')[0]),
    ['0', '1'],
  );
});

test('a new session is one, and only when asked for', async () => {
  const arrange = (output: Fd, input: Fd): Fd[] => [input, output];
  assert.deepEqual((await report(['probe', 'exit', '0'], arrange, true)).lines['leads'], ['1']);
  assert.deepEqual((await report(['probe', 'exit', '0'], arrange, false)).lines['leads'], ['0']);
});

test('the status tells exit codes and signals, before and after', async () => {
  for (const code of [0, 1, 127, 255]) {
    assert.deepEqual((await report(['probe', 'exit', String(code)], (output, input) => [input, output])).exit, { code, signal: 0 });
  }
  for (const signal of [6, 9, 15]) {
    const { exit } = await report(['probe', 'signal', String(signal)], (output, input) => [input, output]);
    assert.deepEqual(exit, { code: -1, signal });
  }
  using child = native.spawn({ program, args: ['probe', 'wait'], fds: [], newSession: false });
  assert.equal(child.wait(), null);
  child.signal(15);
  assert.deepEqual(await end(child), { code: -1, signal: 15 });
  assert.deepEqual(child.wait(), { code: -1, signal: 15 });
  assert.throws(() => child.signal(15), fails('ESRCH', 'pidfd_send_signal'));
});

test('what cannot be executed is an error, and leaves nothing', () => {
  const before = openDescriptors().length;
  const childrenBefore = children();
  using text = native.sealBytes(Buffer.from('not a program'), 'text');
  using folder = native.openDir('/');
  assert.throws(() => native.spawn({ program: folder, args: ['x'], fds: [], newSession: false }), fails('EACCES', 'execveat'));
  assert.throws(
    () => native.spawn({ program: text, args: ['x'], fds: [], newSession: false }),
    (error) => error instanceof NativeError && error.step === 'execveat' && ['EACCES', 'ENOEXEC'].includes(error.errname),
  );
  const closed = new Fd(9999);
  assert.throws(() => native.spawn({ program, args: ['x'], fds: [closed], newSession: false }), fails('EBADF', 'place_fd'));
  assert.throws(() => native.spawn({ program, args: [], fds: [], newSession: false }), TypeError);
  assert.throws(() => native.spawn({ program, args: ['a\0b'], fds: [], newSession: false }), TypeError);
  assert.throws(() => native.spawn({ program, args: Array(65).fill('x'), fds: [], newSession: false }), fails('E2BIG', 'arguments'));
  text.close();
  folder.close();
  assert.equal(openDescriptors().length, before);
  assert.equal(children(), childrenBefore);
});

test('1,000 children leave no descriptor, zombie or memory behind', async (context) => {
  const before = { descriptors: openDescriptors().length, children: children(), mappings: mappings() };
  const started = performance.now();
  for (let round = 0; round < 1000; round++) {
    using child = native.spawn({ program, args: ['probe', 'exit', '3'], fds: [], newSession: true });
    for (let tries = 0; child.wait() === null; tries++) if (tries > 20) await sleep(1);
    assert.deepEqual(child.wait(), { code: 3, signal: 0 });
  }
  context.diagnostic(`${((performance.now() - started) / 1000).toFixed(2)} ms each, with exit and wait`);
  assert.equal(openDescriptors().length, before.descriptors);
  assert.equal(children(), before.children);
  assert.ok(mappings() - before.mappings < 50, `${before.mappings} mappings became ${mappings()}`);
});

test('a process is opened only with the start time that it has', async () => {
  using child = native.spawn({ program, args: ['probe', 'wait'], fds: [], newSession: false });
  assert.equal(native.processStart(child.pid), child.startTicks);
  assert.throws(() => native.openProcess(child.pid, child.startTicks + 1n), fails('ESTALE', 'check_start'));
  using opened = native.openProcess(child.pid, child.startTicks);
  opened.signal(0);
  opened.signal(9);
  assert.deepEqual(await end(child), { code: -1, signal: 9 });
  assert.throws(() => opened.signal(0), fails('ESRCH', 'pidfd_send_signal'));
  assert.throws(
    () => native.openProcess(child.pid, child.startTicks),
    (error) => error instanceof NativeError && ['ESRCH', 'ESTALE'].includes(error.errname),
  );
});

test('a shell script is no program for a sealed copy', () => {
  const path = join(directory.path, 'script');
  writeFileSync(path, '#!/bin/sh\n', { mode: 0o755 });
  using script = native.sealProgram(path);
  // The interpreter would have to open the descriptor, which is closed by then.
  assert.throws(() => native.spawn({ program: script, args: ['x'], fds: [], newSession: false }), fails('ENOENT', 'execveat'));
});

test('where clone3 is hidden, the error says so', async () => {
  const filter = await compile('no-clone3.c', directory.path);
  const script = `const { loadNative } = await import(${JSON.stringify(new URL('../../native/binding.ts', import.meta.url).href)});
    const native = loadNative();
    try {
      native.spawn({ program: native.sealProgram('/bin/true'), args: ['true'], fds: [], newSession: false });
    } catch ({ code, errname, step, remedy }) {
      console.log(JSON.stringify({ code, errname, step, remedy }));
    }`;
  const said = execFileSync(filter, [process.execPath, '--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.deepEqual(JSON.parse(said), {
    code: 'KERNEL_TOO_OLD',
    errname: 'ENOSYS',
    step: 'clone3',
    remedy: 'run Linux 5.12 or newer, without a seccomp filter that hides clone3',
  });
});

function fails(errname: string, step: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof NativeError, String(error));
    assert.deepEqual([error.errname, error.step], [errname, step]);
    return true;
  };
}

function children(): string {
  return readFileSync(`/proc/self/task/${process.pid}/children`, 'latin1');
}

function mappings(): number {
  return readFileSync('/proc/self/maps', 'latin1').split('\n').length;
}
