/** Spec × policy → refusals: a table. Nothing that a controller says is asked. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkAction, checkRunning, checkSpec, refusals } from '#agent/policy.ts';
import { PolicyFile, policyOf } from '#agent/policy/model.ts';
import { identityOf, mapProblems, ownIds } from '#agent/sandbox/identity.ts';
import { checkIdRange } from '#agent/sandbox/ids.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import { SandboxSpec } from '#shared/sandbox.ts';
import type { SandboxSpecInput } from '#shared/sandbox.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const policyWith = (given: object) => policyOf(PolicyFile.parse({ version: 1, ...given }), '/etc/nsfleet/agent.yaml', {}, []);
const specWith = (given: Partial<SandboxSpecInput>) => SandboxSpec.parse({ command: ['true'], constraint: 'true', ...given });
const web = { from: 'sandbox', name: 'web' } as const;
const nobody = { uid: 5, gid: 5 };

test('nothing of the host by default, namespaces of sandboxes by name only', () => {
  const policy = policyWith({});
  const allowed = (given: Partial<SandboxSpecInput>) => refusals(specWith(given), policy).map(({ allow }) => allow);
  assert.deepEqual(allowed({}), []);
  assert.deepEqual(allowed({ namespaces: { net: web, ipc: web } }), []);
  assert.deepEqual(allowed({ namespaces: { net: { from: 'pid', pid: 1 } } }), ['joins.other: [net]']);
  assert.deepEqual(allowed({ namespaces: { uts: { from: 'path', path: '/x' } } }), ['joins.other: [uts]']);
  for (const type of ['net', 'uts', 'ipc', 'cgroup', 'time'] as const) {
    assert.deepEqual(allowed({ namespaces: { [type]: { from: 'host' } } }), [`hostNamespaces: [${type}]`]);
  }
  const map = [{ inside: 0, outside: 100_000, count: 10 }];
  assert.deepEqual(allowed({ idMaps: { uid: map, gid: map } }), Array(2).fill('idMaps: [{start: 100000, count: 10}]'));
});

test('what the file allows, and not one id or type more', () => {
  const policy = policyWith({
    hostNamespaces: ['net'],
    joins: { sandbox: ['net'], other: ['uts'] },
    idMaps: [{ start: 100_000, count: 10 }],
  });
  const refused = (given: Partial<SandboxSpecInput>) => refusals(specWith(given), policy).length;
  assert.equal(refused({ namespaces: { net: { from: 'host' } } }), 0);
  assert.equal(refused({ namespaces: { ipc: { from: 'host' }, net: { from: 'host' } } }), 1);
  assert.equal(refused({ namespaces: { net: web } }), 0);
  assert.equal(refused({ namespaces: { user: web } }), 1);
  assert.equal(refused({ namespaces: { uts: { from: 'id', id: '5' } } }), 0);
  const mapped = (outside: number, count: number) => {
    const map = [{ inside: 0, outside, count }];
    return refused({ idMaps: { uid: map, gid: map } });
  };
  assert.deepEqual([mapped(100_000, 10), mapped(100_001, 9), mapped(100_000, 11), mapped(99_999, 5), mapped(0, 1)], [0, 0, 2, 2, 2]);
  const all = policyWith({ hostNamespaces: 'all' });
  const everything = Object.fromEntries(namespaceTypes.map((type) => [type, { from: 'host' }]));
  assert.deepEqual(refusals(specWith({ namespaces: everything, user: nobody }), all), []);
});

test('one answer names everything; a policy that became narrower binds further processes, not the root that is there', () => {
  const narrow = policyWith({ roots: { host: false } });
  const spec = specWith({ namespaces: { net: { from: 'host' } } });
  assert.throws(() => checkSpec(spec, narrow, 'web'), {
    code: 'POLICY_REFUSED',
    reason: /\/usr as a root; .*net namespace of the host/,
    remedy: /roots\.host: true, hostNamespaces: \[net\] in \/etc\/nsfleet\/agent\.yaml/,
  });
  assert.throws(() => checkRunning(spec, narrow, 'web'), { code: 'POLICY_REFUSED', reason: /^this host does not let .* net/ });
  assert.doesNotThrow(() => checkRunning(specWith({}), narrow, 'web'));
});

test('actions: those that are named, and none for an agent that is no root', () => {
  const policy = policyWith({ actions: ['reap'] });
  assert.doesNotThrow(() => checkAction({ policy, uid: 0 }, 'reap', 'reap', 'x'));
  assert.throws(() => checkAction({ policy, uid: 0 }, 'exec', 'run', 'x'), {
    code: 'ACTION_NOT_ALLOWED',
    remedy: /add exec to actions in \/etc/,
  });
  assert.throws(() => checkAction({ policy, uid: 1000 }, 'reap', 'reap', 'x'), { code: 'ACTION_NOT_ALLOWED', reason: /plain user/ });
});

test('maps: never host root, never the agent, each id once, with one for root inside and for the user', () => {
  const ids = (...maps: [number, number, number][]) => maps.map(([inside, outside, count]) => ({ inside, outside, count }));
  const check = (uid: ReturnType<typeof ids>, user: { uid: number; gid: number } = { uid: 0, gid: 0 }) =>
    mapProblems({ uid, gid: ids([0, 9000, 1000]) }, user, { uid: 1234, gid: 0 });
  assert.deepEqual(check(ids([0, 5000, 10])), []);
  assert.match(check(ids([0, 0, 10])).join(), /uid 0 of the host is root/);
  assert.match(check(ids([0, 1200, 100])).join(), /uid 1234 of the host is this agent/);
  assert.match(check(ids([1, 5000, 10])).join(), /uid 0 has no id/);
  assert.match(check(ids([0, 5000, 10]), { uid: 10, gid: 0 }).join(), /uid 10 has no id/);
  assert.match(check(ids([0, 5000, 10], [9, 7000, 5])).join(), /overlap/);
  assert.match(check(ids([0, 5000, 10], [20, 5009, 5])).join(), /overlap/);
  assert.deepEqual(check(ids([0, 5000, 10], [10, 5010, 5])), []);
});

test('two live sandboxes never share an id, ranges and written maps alike; who joins has none of its own', () => {
  const pool = { start: 1_000_000, count: 4 };
  const range = (index: number) => ({ start: pool.start + index * 65_536, count: 65_536 });
  const desired = (name: string, index: number, given: Partial<SandboxSpecInput> = {}) => ({
    name,
    idRange: range(index),
    spec: specWith(given),
  });
  const maps = (outside: number) => {
    const map = [{ inside: 0, outside, count: 10 }];
    return { idMaps: { uid: map, gid: map } };
  };
  const check = (one: ReturnType<typeof desired>, ...others: ReturnType<typeof desired>[]) =>
    checkIdRange(one, pool, { uid: 0, gid: 0 }, others);
  assert.doesNotThrow(() => check(desired('a', 0), desired('b', 1), desired('c', 0, { namespaces: { user: web, pid: web } })));
  assert.throws(() => check(desired('a', 0), desired('b', 0)), { code: 'ID_RANGE_REFUSED', reason: /belongs to sandbox b/ });
  assert.throws(() => check(desired('a', 0, maps(range(1).start + 65_530)), desired('b', 1)), /belongs to sandbox b/);
  assert.throws(() => check(desired('a', 1), desired('b', 0, maps(range(1).start + 7))), /belongs to sandbox b/);
  assert.doesNotThrow(() => check(desired('a', 0, maps(500_000)), desired('b', 0)));
  assert.deepEqual(ownIds(specWith({ namespaces: { user: { from: 'host' } }, user: nobody }), range(0)), []);
  assert.throws(() => checkIdRange({ ...desired('a', 0, maps(500_000)), idRange: null }, null, { uid: 7, gid: 7 }, []), /maps one id only/);
});

test('an agent of a plain user offers its own id, and root’s a range', () => {
  const range = { start: 1_000_000, count: 65_536 };
  const owner = { uid: 7, gid: 8 };
  const plain = identityOf(specWith({}), null, owner, null);
  assert.deepEqual(
    [plain.idMaps.uid, plain.idMaps.gid, plain.setgroupsDeny],
    [[{ inside: 0, outside: 7, count: 1 }], [{ inside: 0, outside: 8, count: 1 }], true],
  );
  assert.deepEqual(identityOf(specWith({}), range, owner, null).idMaps.uid, [{ inside: 0, outside: 1_000_000, count: 65_536 }]);
});
