/**
 * Random histories of create, join, hold, drop and kill on the real kernel, seen by the real agent's discovery, watch and reporter, written by the real
 * store: after each settling the database is what the model says, with all holders, and at the end all of them have ended. `NSFLEET_HISTORIES` says how
 * many (30), `NSFLEET_HISTORIES_SEED` which; a failure prints its seed and history; no shorter one is looked for, since each try waits to settle.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { loadNative } from '#native/binding.ts';
import { buildNative } from '#native/build.mjs';
import { freshStore } from '#test/controller/store/fixture.ts';
import { compileFixture } from '#test/support/compile.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { startActors } from './histories/actors.ts';
import { startMachine } from './histories/machine.ts';
import { emptyModel } from './histories/model.ts';
import { endAll, history, take } from './histories/step.ts';
import type { Stage } from './histories/step.ts';

leakCheck();

await buildNative();
const { root } = temporaryDirectories();
/** A test each, so that a long run is told of as it goes. */
const batch = 100;
const histories = Number(process.env['NSFLEET_HISTORIES'] ?? 30);
const seed = Number(process.env['NSFLEET_HISTORIES_SEED'] ?? Date.now() % 1_000_000_000);
const skip =
  process.geteuid?.() !== 0
    ? 'needs root'
    : loadNative().relate({ path: '/proc/self/ns/uts' }).id === null &&
      'without ids of the kernel a namespace between two looks has no name';

for (let from = 0; from < histories; from += batch) {
  const count = Math.min(batch, histories - from);
  test(`the database is the model after ${count} random histories`, { skip }, (context) => runHistories(context, count, seed + from));
}

async function runHistories(context: TestContext, count: number, seed: number): Promise<void> {
  context.diagnostic(`seed ${seed}`);
  const native = loadNative();
  const work = mkdtempSync(join(root, 'histories-'));
  const directory = join(work, 'mounts');
  const state = join(work, 'state');
  for (const path of [directory, state]) mkdirSync(path);
  using program = native.sealProgram(fileURLToPath(new URL('../../native/build/nsfleet-shim', import.meta.url)));
  await using fresh = await freshStore();
  await using actors = startActors(await compileFixture('actors.c', join(work, 'actors')));
  await using machine = await startMachine(fresh.store, native, program, state);
  let settled = 0;
  let made = 0;
  await fc.assert(
    fc.asyncProperty(history, async (steps) => {
      const stage: Stage = { model: emptyModel(), actors, directory };
      const settle = async (): Promise<void> => {
        await machine.settle(stage.model);
        settled += 1;
      };
      try {
        for (const step of steps) await (step.do === 'settle' ? settle() : take(stage, step));
        await settle();
      } finally {
        await endAll(stage);
      }
      await settle();
      made += stage.model.spaces.length;
    }),
    { numRuns: count, seed, endOnFailure: true },
  );
  assert.ok(made > 0);
  context.diagnostic(`${count} histories, ${made} namespaces, ${settled} settlings, all equal`);
}
