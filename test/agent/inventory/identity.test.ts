/** DESIGN's key on the real kernel: namespaces that follow each other on one inode number stay apart. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { buildModel } from '#agent/inventory/model.ts';
import type { Generations } from '#agent/inventory/generation-rule.ts';
import type { Native } from '#native/binding.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import { builtNative } from '#test/native/fixture.ts';
import { compileFixture } from '#test/support/compile.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const directory = temporaryDirectories().root;
const skip = process.geteuid?.() !== 0 && 'needs root';
/** As many namespaces in each round, so that an emulated guest has few enough scans to make. */
const movers = 10;
const rounds = 100;
const handOvers = 30;

type Mover = AsyncDisposable & {
  pid: number;
  /** `n`: to a new uts namespace, `o`: to the original one */ move: (to: 'n' | 'o') => Promise<Place>;
};
type Place = { inode: number; id: string | null };

function startMover(program: string): Mover {
  const child = spawn(program, {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    pid: child.pid ?? 0,
    move: async (to) => {
      child.stdin.write(to);
      const { value, done } = await lines.next();
      assert.ok(done !== true, 'one-after-another ended');
      const [inode = '', id = ''] = value.split(' ');
      return { inode: Number(inode), id: id === '0' ? null : id };
    },
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

test(`${movers * rounds} namespaces, one after another, are as many records`, { skip, timeout: 170_000 }, async (context) => {
  const native: Native = await builtNative();
  const program = await compileFixture('one-after-another.c', join(directory, 'one-after-another'));
  await using started = new AsyncDisposableStack();
  const all = Array.from({ length: movers }, () => started.use(startMover(program)));
  let generations: Generations = new Map();
  const scan = async (): Promise<string[]> => {
    const built = buildModel(await native.scan(), generations, () => '', 0);
    ({ generations } = built);
    const byPid = new Map([...built.model.processes.values()].map(({ pid, namespaces }) => [pid, namespaces]));
    return all.map(({ pid }) => byPid.get(pid)?.[namespaceTypes.indexOf('uts')] ?? '');
  };
  const own = await scan();
  const keys = new Set<string>();
  const inodes = new Set<number>();
  let withoutId = 0;
  for (let round = 0; round < rounds; round++) {
    const places = await Promise.all(all.map((mover) => mover.move('n')));
    const seen = await scan();
    for (const [index, { inode, id }] of places.entries()) {
      const key = seen[index] ?? '';
      assert.ok(id === null ? key.startsWith(`ino:${inode}.`) : key === `id:${id}`, `${key} is ${inode}, ${id}`);
      keys.add(key);
      inodes.add(inode);
      withoutId += id === null ? 1 : 0;
    }
    if (places.every(({ id }) => id !== null)) continue;
    // Without ids only a scan that does not see the namespaces tells that they ended.
    await Promise.all(all.map((mover) => mover.move('o')));
    assert.deepEqual(await scan(), own);
  }
  assert.equal(keys.size, movers * rounds);
  context.diagnostic(`${keys.size} namespaces on ${inodes.size} inode numbers, ${withoutId} of them without an id of the kernel`);
  assert.ok(inodes.size < keys.size / 2, 'inode numbers were reused');
});

test('also where no look saw the number free: the next one has taken it meanwhile', { skip, timeout: 170_000 }, async (context) => {
  const native: Native = await builtNative();
  const program = await compileFixture('one-after-another.c', join(directory, 'one-after-another'));
  await using started = new AsyncDisposableStack();
  const pairs = Array.from({ length: movers }, () => [started.use(startMover(program)), started.use(startMover(program))] as const);
  let generations: Generations = new Map();
  const keys = new Set<string>();
  const inodes = new Set<number>();
  for (let round = 0; round < handOvers; round++) {
    const turns = pairs.map((pair) => (round % 2 === 0 ? { going: pair[1], coming: pair[0] } : { going: pair[0], coming: pair[1] }));
    for (const { going } of turns) await going.move('o');
    for (const { coming } of turns) inodes.add((await coming.move('n')).inode);
    const { model, generations: next } = buildModel(await native.scan(), generations, () => '', 0);
    generations = next;
    for (const { coming } of turns) {
      const row = [...model.processes.values()].find(({ pid }) => pid === coming.pid);
      keys.add(row?.namespaces[namespaceTypes.indexOf('uts')] ?? '');
    }
  }
  assert.equal(keys.size, movers * handOvers);
  context.diagnostic(`${keys.size} namespaces on ${inodes.size} inode numbers`);
  assert.ok(inodes.size < keys.size / 2, 'inode numbers were reused');
});
