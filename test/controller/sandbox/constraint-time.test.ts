import assert from 'node:assert/strict';
import { test } from 'node:test';
import { placeInTime, wishOf } from '#controller/sandbox/schedule.ts';
import { SandboxSpec } from '#shared/sandbox.ts';
import { hostView } from '../scheduler/hosts.ts';

const labels = Object.fromEntries(Array.from({ length: 64 }, (_, at) => [`label${at}`, 'x'.repeat(255)]));

test('a constraint that would hold the controller up for minutes is ended', () => {
  const joined = Array(60).fill('host.labels["label0"]').join(' + ');
  const constraint = `host.labels.all(a, host.labels.all(b, !(${joined}).contains("z" + a + b)))`;
  const wish = wishOf(SandboxSpec.parse({ command: ['true'], constraint }));
  const hosts = Array.from({ length: 200 }, (_, at) => hostView(`h${at}`, { labels }));
  const startedMs = performance.now();
  assert.throws(() => placeInTime(hosts, wish), { code: 'CONSTRAINT_INVALID', reason: 'it took longer than 700 ms' });
  // 500 ms and one for each host; thrice that on a machine that is busy with something else, and some time to be woken.
  assert.ok(performance.now() - startedMs < 6000);
  const cheap = wishOf(SandboxSpec.parse({ command: ['true'], constraint: 'host.labels["label0"] == "y" || host.name == "h7"' }));
  assert.equal(placeInTime(hosts, cheap).chosen, 'h7', 'and the next one is judged as if nothing had been');
});
