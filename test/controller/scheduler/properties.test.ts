import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileConstraint } from '#controller/scheduler/constraint.ts';
import { neededDimensions } from '#controller/scheduler/feasible.ts';
import type { HostView } from '#controller/scheduler/feasible.ts';
import { place } from '#controller/scheduler/place.ts';
import { hostView, unprivileged } from './hosts.ts';

const count = fc.integer({ min: 0, max: 6 });
const arbitraryHost = fc
  .record({
    privileged: fc.boolean(),
    known: fc.boolean(),
    status: fc.constantFrom('ready' as const, 'unknown' as const),
    zone: fc.constantFrom('a', 'b', undefined),
    capacity: fc.record({ sandboxes: count, idRanges: count }),
    used: fc.record({ sandboxes: count, idRanges: count }),
  })
  .map(({ privileged, known, zone, ...rest }) => (id: string): HostView => {
    const host = (privileged ? hostView : unprivileged)(id, { ...rest, labels: zone === undefined ? {} : { zone } });
    return known ? host : { ...host, facts: null };
  });
const arbitraryHosts = fc.array(arbitraryHost, { maxLength: 12 }).map((makers) => makers.map((make, index) => make(`h${index}`)));
const arbitraryConstraint = fc.constantFrom(
  null,
  'true',
  'false',
  'host.labels.zone == "a"',
  '!has(host.labels.zone)',
  'host.facts.privileged',
);

const wishOf = (text: string | null) => ({ constraint: text === null ? null : compileConstraint(text) });
const hasRoom = (host: HostView) => neededDimensions(host).every((dimension) => host.used[dimension] < host.capacity[dimension]);

test('never a filtered host, never one that is full, and every host is counted once', () => {
  fc.assert(
    fc.property(arbitraryHosts, arbitraryConstraint, (hosts, text) => {
      const wish = wishOf(text);
      const decision = place(hosts, wish);
      const refused = decision.refusals.reduce((total, refusal) => total + refusal.hosts, 0);
      assert.equal(decision.hostsSeen, hosts.length);
      assert.equal(decision.hostsFeasible + refused, hosts.length);
      const fits = (host: HostView) =>
        host.status === 'ready' && host.facts !== null && hasRoom(host) && (wish.constraint?.(host) ?? null) === null;
      assert.equal(decision.hostsFeasible, hosts.filter(fits).length);
      for (const { hostId } of decision.scores) assert.ok(fits(hosts.find((host) => host.id === hostId) as HostView));
      if (decision.chosen === null) assert.equal(decision.hostsFeasible, 0);
      else assert.equal(decision.chosen, decision.scores[0]?.hostId);
    }),
    { numRuns: 500 },
  );
});

test('the same hosts in any order give the same decision', () => {
  fc.assert(
    fc.property(arbitraryHosts, arbitraryConstraint, fc.infiniteStream(fc.nat()), (hosts, text, random) => {
      const shuffled = hosts.map((host) => ({ host, at: random.next().value as number })).sort((a, b) => a.at - b.at);
      assert.deepEqual(
        place(
          shuffled.map(({ host }) => host),
          wishOf(text),
        ),
        place(hosts, wishOf(text)),
      );
    }),
  );
});

test('placing until nothing fits fills every usable host exactly and never more', () => {
  fc.assert(
    fc.property(arbitraryHosts, (hosts) => {
      const state = hosts.map((host) => ({ ...host, used: { ...host.used } }));
      const before = structuredClone(state);
      for (;;) {
        const { chosen } = place(state, { constraint: null });
        const host = state.find(({ id }) => id === chosen);
        if (host === undefined) break;
        for (const dimension of neededDimensions(host)) host.used[dimension] += 1;
      }
      for (const [index, host] of state.entries()) {
        const usable = host.status === 'ready' && host.facts !== null;
        const changed = host.used.sandboxes !== before[index]?.used.sandboxes;
        if (changed) assert.ok(neededDimensions(host).every((dimension) => host.used[dimension] <= host.capacity[dimension]));
        if (usable) assert.equal(hasRoom(host), false);
        else assert.equal(changed, false);
      }
    }),
  );
});
