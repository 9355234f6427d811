import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { createLanes } from '#controller/lanes.ts';

test('one lane is done in order, one at a time; lanes run side by side up to the limit', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 40 }),
      fc.integer({ min: 1, max: 4 }),
      async (order, concurrent) => {
        const lanes = createLanes({ concurrent, waitingPerLane: 100, waiting: 100 });
        const done: Record<string, number[]> = {};
        const inLane = new Set<string>();
        let running = 0;
        for (const [index, lane] of order.entries()) {
          const entered = lanes.enter(lane, async () => {
            running += 1;
            assert.ok(running <= concurrent);
            assert.ok(!inLane.has(lane));
            inLane.add(lane);
            await Promise.resolve();
            inLane.delete(lane);
            running -= 1;
            (done[lane] ??= []).push(index);
          });
          assert.ok(entered);
        }
        await lanes.idle();
        for (const indices of Object.values(done))
          assert.deepEqual(
            indices,
            indices.toSorted((x, y) => x - y),
          );
        assert.equal(Object.values(done).flat().length, order.length);
      },
    ),
  );
});

test('a full lane refuses, and the others go on', async () => {
  const lanes = createLanes({ concurrent: 2, waitingPerLane: 2, waiting: 5 });
  const gate = Promise.withResolvers<void>();
  const enter = (lane: string) => lanes.enter(lane, () => gate.promise);
  assert.deepEqual([enter('a'), enter('a'), enter('a'), enter('a')], [true, true, true, false]);
  assert.deepEqual([enter('b'), enter('c'), enter('c'), enter('d'), enter('e')], [true, true, true, true, false], 'five wait in all');
  gate.resolve();
  await lanes.idle();
  assert.equal(enter('a'), true);
  await lanes.idle();
});

test('idle waits for what runs', async () => {
  const lanes = createLanes({ concurrent: 1, waitingPerLane: 10, waiting: 10 });
  let done = 0;
  const work = async () => {
    await sleep(5);
    done += 1;
  };
  lanes.enter('a', work);
  lanes.enter('a', work);
  lanes.enter('b', work);
  await lanes.idle();
  assert.equal(done, 3);
});
