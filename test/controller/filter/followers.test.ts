import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeInTime, processorMs } from '#controller/filter/bounded.ts';
import type { Expression } from '#controller/filter/cel.ts';
import { createFollowerFilters } from '#controller/filter/followers.ts';
import { createTurns } from '#controller/filter/turns.ts';
import type { Event } from '#shared/resources.ts';

const never = new AbortController().signal;

function event(seq: number): Event {
  return { seq: String(seq), at: '2026-11-23T12:00:00Z', type: 'test', hostId: null, sandboxId: null, namespaceId: null, detail: {} };
}
const events = Array.from({ length: 200 }, (_, at) => event(at + 1));

/** Of events with odd numbers it is true; each takes `costMs` of the processor. */
function odd(costMs: number, count: () => void = () => undefined): Expression {
  const refuse: Expression['refuse'] = ({ seq }) => {
    count();
    for (const until = processorMs() + costMs; processorMs() < until;);
    return (seq as bigint) % 2n === 1n ? null : 'false';
  };
  return { refuse, equalities: new Map(), mentions: new Set() };
}

test('an event is judged once by equal filters, however many follow with one', async () => {
  let judged = 0;
  let compiled = 0;
  const filters = createFollowerFilters(createTurns(), () => {
    compiled += 1;
    return odd(0, () => (judged += 1));
  });
  const followers = Array.from({ length: 100 }, () => filters.use('seq % 2 == 1'));
  const wanted = await Promise.all(followers.map((follower) => follower.wanted(events, never)));
  for (const one of wanted)
    assert.deepEqual(
      one,
      events.filter((_, at) => at % 2 === 0),
    );
  assert.deepEqual([compiled, judged], [1, 200]);
  for (const follower of followers) follower[Symbol.dispose]();
  using again = filters.use('seq % 2 == 1');
  await again.wanted(events, never);
  assert.deepEqual([compiled, judged], [2, 400], 'nothing is kept when the last one went');
});

test('a verdict that was dropped is found again, and no event is left out', async () => {
  const filters = createFollowerFilters(createTurns(), () => odd(0));
  const many = Array.from({ length: 500 }, (_, at) => event(at + 1));
  using behind = filters.use('a');
  using ahead = filters.use('a');
  assert.equal((await ahead.wanted(many, never)).length, 250);
  // Some of these are known and go when others come.
  assert.equal((await behind.wanted(many.slice(80, 130), never)).length, 25);
});

test('dear filters wait for the cheap ones, and together take a share of the time only', async () => {
  const filters = createFollowerFilters(createTurns(), (text) => odd(text === 'cheap' ? 0 : 50));
  const order: string[] = [];
  const startedMs = performance.now();
  const processorStartedMs = processorMs();
  const follow = async (name: string) => {
    using follower = filters.use(name);
    // Each has had its first turn when the second event is asked for.
    await follower.wanted(events.slice(0, 1), never);
    await follower.wanted(events.slice(1, 2), never);
    order.push(name);
  };
  await Promise.all([...['dear 1', 'dear 2', 'dear 3', 'dear 4'].map(follow), follow('cheap')]);
  assert.equal(order[0], 'cheap');
  // Of what was taken a quarter of the time, but for the last rest, which nobody waits for.
  const share = (processorMs() - processorStartedMs) / (performance.now() - startedMs);
  assert.ok(share < 0.35, `${share} of the time`);
});

test('who does not get its turn is ended; who goes is forgotten', async () => {
  const filters = createFollowerFilters(createTurns({ waitMaxMs: 100 }), (text) => odd(text === 'cheap' ? 0 : 100));
  using one = filters.use('dear 1');
  using other = filters.use('dear 2');
  using third = filters.use('dear 3');
  const gone = new AbortController();
  const results = Promise.allSettled([
    one.wanted(events.slice(0, 1), never),
    other.wanted(events.slice(0, 1), never),
    third.wanted(events.slice(0, 1), gone.signal),
  ]);
  gone.abort(new Error('it went away'));
  const [first, second, last] = await results;
  assert.equal(first.status, 'fulfilled');
  assert.ok(second.status === 'rejected' && second.reason.code === 'FILTER_TOO_SLOW', second.status);
  assert.ok(last.status === 'rejected' && last.reason.message === 'it went away');
  using cheap = filters.use('cheap');
  assert.equal((await cheap.wanted(events, never)).length, 100, 'it goes on');
});

test('one that takes too long for a stretch is stopped', async () => {
  const filters = createFollowerFilters(createTurns(), () => odd(50));
  using follower = filters.use('endless');
  const startedMs = performance.now();
  await assert.rejects(follower.wanted(events, never), { code: 'FILTER_TOO_SLOW', reason: /longer than 250 ms/ });
  assert.ok(performance.now() - startedMs < 5000);
});

test('a machine that is busy with something else stops no filter', () => {
  const asleep = new Int32Array(new SharedArrayBuffer(4));
  let tries = 0;
  const work = () => {
    tries += 1;
    if (tries === 1) Atomics.wait(asleep, 0, 0, 10_000);
    return 'done';
  };
  assert.equal(judgeInTime('FILTER_INVALID', work, 50), 'done');
  assert.equal(tries, 2);
});
