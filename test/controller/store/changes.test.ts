import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { backwards, changesOf } from '#controller/store/changes.ts';
import type { Attributes, Changes } from '#controller/store/changes.ts';

const key = fc.option(fc.constantFrom('id:1', 'id:2'));
const attributes: fc.Arbitrary<Attributes> = fc.record({
  parent: key,
  owner: key,
  ownerUid: fc.option(fc.nat(3)),
  leader: fc.option(
    fc.record({ pid: fc.integer({ min: 1, max: 3 }), uid: fc.nat(1), comm: fc.constantFrom('a', 'b'), command: fc.string() }),
  ),
  names: fc.array(fc.record({ source: fc.constantFrom('docker' as const, 'systemd' as const), name: fc.constantFrom('x', 'y') }), {
    maxLength: 2,
  }),
  details: fc.option(fc.record({ links: fc.nat(2), hostname: fc.constantFrom('a', 'b'), peers: fc.constant([]) }, { requiredKeys: [] })),
});

test('whatever it went through, going back over its changes gives what it was', () => {
  fc.assert(
    fc.property(fc.array(attributes, { minLength: 1, maxLength: 6 }), (generated) => {
      // as from the database: plain objects
      const states = structuredClone(generated);
      const changes: Changes[] = states.slice(1).map((state, at) => changesOf(states[at]!, state));
      for (let at = 0; at < states.length; at += 1) {
        const newestFirst = structuredClone(changes.slice(at)).toReversed();
        assert.deepEqual(backwards(states.at(-1)!, newestFirst), states[at]);
      }
    }),
  );
});

test('nothing changed, nothing told; fields of a later version are left out', () => {
  const now: Attributes = { parent: null, owner: null, ownerUid: null, leader: null, names: [], details: { links: 1 } };
  assert.deepEqual(changesOf(now, structuredClone(now)), {});
  assert.deepEqual(backwards(now, [{ later: { from: 1, to: 2 } }]), now);
});
