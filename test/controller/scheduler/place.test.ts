import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileConstraint } from '#controller/scheduler/constraint.ts';
import { explain } from '#controller/scheduler/explain.ts';
import type { HostView } from '#controller/scheduler/feasible.ts';
import { place } from '#controller/scheduler/place.ts';
import { Decision } from '#shared/resources.ts';
import { hostView, unprivileged, used } from './hosts.ts';

const zone = (name: string) => ({ labels: { zone: name } });
const facts = (host: HostView, change: Partial<NonNullable<HostView['facts']>>): HostView => ({
  ...host,
  facts: host.facts === null ? null : { ...host.facts, ...change },
});

/** [what, hosts, constraint, chosen, the whole explanation] */
type Case = [what: string, hosts: HostView[], constraint: string | null, chosen: string | null, sentence: string];
const cases: Case[] = [
  // none, one
  ['no host', [], null, null, 'no hosts are enrolled'],
  ['one empty host', [hostView('a')], null, 'a', '1 host seen: 1 feasible, a is best with 1'],
  ['one half full host', [hostView('a', used(5))], null, 'a', '1 host seen: 1 feasible, a is best with 0.5'],
  ['room for one more', [hostView('a', used(9))], null, 'a', '1 host seen: 1 feasible, a is best with 0.1'],
  // ready
  ['silent host', [hostView('a', { status: 'unknown' })], null, null, '1 host seen: 1 not ready (no heartbeat from its agent)'],
  ['agent never connected', [hostView('a', { facts: null })], null, null, '1 host seen: 1 not ready (its agent never connected)'],
  [
    'never connected counts before silent',
    [hostView('a', { facts: null, status: 'unknown' })],
    null,
    null,
    '1 host seen: 1 not ready (its agent never connected)',
  ],
  [
    'a silent one beside a ready one',
    [hostView('a', { status: 'unknown' }), hostView('b')],
    null,
    'b',
    '2 hosts seen: 1 not ready (no heartbeat from its agent), 1 feasible, b is best with 1',
  ],
  // capacity
  ['full', [hostView('a', used(10))], null, null, '1 host seen: 1 full (sandboxes: 10 of 10)'],
  ['over full, after its capacity was lowered', [hostView('a', used(12))], null, null, '1 host seen: 1 full (sandboxes: 12 of 10)'],
  [
    'no capacity at all',
    [hostView('a', { capacity: { sandboxes: 0, idRanges: 0 } })],
    null,
    null,
    '1 host seen: 1 full (sandboxes: 0 of 0)',
  ],
  ['ranges run out first', [hostView('a', used(3, 10))], null, null, '1 host seen: 1 full (idRanges: 10 of 10)'],
  ['both run out: the first dimension tells', [hostView('a', used(10, 10))], null, null, '1 host seen: 1 full (sandboxes: 10 of 10)'],
  ['full hosts are added up', [hostView('a', used(10)), hostView('b', used(10))], null, null, '2 hosts seen: 2 full (sandboxes: 20 of 20)'],
  [
    'different dimensions stand apart',
    [hostView('a', used(10)), hostView('b', used(1, 10)), hostView('c', used(10))],
    null,
    null,
    '3 hosts seen: 2 full (sandboxes: 20 of 20), 1 full (idRanges: 10 of 10)',
  ],
  ['an unprivileged host needs no range', [unprivileged('a')], null, 'a', '1 host seen: 1 feasible, a is best with 1'],
  ['an unprivileged host can be full', [unprivileged('a', used(10, 0))], null, null, '1 host seen: 1 full (sandboxes: 10 of 10)'],
  [
    'a privileged host without a pool takes none',
    [hostView('a', { capacity: { sandboxes: 10, idRanges: 0 } })],
    null,
    null,
    '1 host seen: 1 full (idRanges: 0 of 0)',
  ],
  // score
  ['the emptier one', [hostView('a', used(5)), hostView('b', used(4))], null, 'b', '2 hosts seen: 2 feasible, b is best with 0.6'],
  [
    'free share counts, not free number',
    [hostView('a', { capacity: { sandboxes: 100, idRanges: 100 }, ...used(50) }), hostView('b', used(4))],
    null,
    'b',
    '2 hosts seen: 2 feasible, b is best with 0.6',
  ],
  [
    'the scarcest dimension counts',
    [hostView('a', used(1, 9)), hostView('b', used(5, 5))],
    null,
    'b',
    '2 hosts seen: 2 feasible, b is best with 0.5',
  ],
  ['equal: by name', [hostView('b'), hostView('a')], null, 'a', '2 hosts seen: 2 feasible, a is best with 1'],
  [
    'equal names: by id',
    [hostView('y', { name: 'same' }), hostView('x', { name: 'same' })],
    null,
    'x',
    '2 hosts seen: 2 feasible, same is best with 1',
  ],
  [
    'by code unit, not by locale',
    [hostView('b', { name: 'ä' }), hostView('c', { name: 'z' })],
    null,
    'c',
    '2 hosts seen: 2 feasible, z is best with 1',
  ],
  // constraints
  [
    'label matches',
    [hostView('a', zone('x')), hostView('b', zone('y'))],
    'host.labels.zone == "y"',
    'b',
    '2 hosts seen: 1 refused by constraint (false), 1 feasible, b is best with 1',
  ],
  ['label matches nowhere', [hostView('a', zone('x'))], 'host.labels.zone == "y"', null, '1 host seen: 1 refused by constraint (false)'],
  [
    'label missing',
    [hostView('a')],
    'host.labels.zone == "y"',
    null,
    '1 host seen: 1 refused by constraint (No such key: zone (column 13))',
  ],
  ['label missing, asked for', [hostView('a')], 'has(host.labels.zone)', null, '1 host seen: 1 refused by constraint (false)'],
  [
    'label with a slash',
    [hostView('a', { labels: { 'x.io/gpu': 'yes' } })],
    'host.labels["x.io/gpu"] == "yes"',
    'a',
    '1 host seen: 1 feasible, a is best with 1',
  ],
  [
    'by id',
    [hostView('a'), hostView('b')],
    'host.id == "b"',
    'b',
    '2 hosts seen: 1 refused by constraint (false), 1 feasible, b is best with 1',
  ],
  [
    'by name',
    [hostView('a', { name: 'web-1' }), hostView('b')],
    'host.name.startsWith("web-")',
    'a',
    '2 hosts seen: 1 refused by constraint (false), 1 feasible, web-1 is best with 1',
  ],
  [
    'fact as a number',
    [facts(hostView('a'), { cpus: 2 }), hostView('b')],
    'host.facts.cpus >= 4',
    'b',
    '2 hosts seen: 1 refused by constraint (false), 1 feasible, b is best with 1',
  ],
  ['arithmetic on facts', [hostView('a')], 'host.facts.cpus * 2 == 8', 'a', '1 host seen: 1 feasible, a is best with 1'],
  ['memory beyond 32 bits', [hostView('a')], 'host.facts.memoryBytes >= 8589934592', 'a', '1 host seen: 1 feasible, a is best with 1'],
  ['fact as text', [hostView('a')], 'host.facts.kernelRelease.startsWith("6.")', 'a', '1 host seen: 1 feasible, a is best with 1'],
  ['fact as a flag', [hostView('a')], 'host.facts.namespaceIds', 'a', '1 host seen: 1 feasible, a is best with 1'],
  [
    'a list in facts',
    [facts(hostView('a'), { missing: ['no tracefs'] }), hostView('b')],
    'host.facts.missing.size() == 0',
    'b',
    '2 hosts seen: 1 refused by constraint (false), 1 feasible, b is best with 1',
  ],
  ['unknown fact', [hostView('a')], 'host.facts.gpus > 0', null, '1 host seen: 1 refused by constraint (No such key: gpus (column 12))'],
  [
    'not a truth value',
    [hostView('a')],
    'host.facts.cpus',
    null,
    '1 host seen: 1 refused by constraint (yields bigint, not true or false)',
  ],
  [
    'and, or, not',
    [hostView('a', zone('x'))],
    '!(host.labels.zone == "y") && (host.id == "a" || false)',
    'a',
    '1 host seen: 1 feasible, a is best with 1',
  ],
  ['a constraint is asked before capacity', [hostView('a', used(10))], 'false', null, '1 host seen: 1 refused by constraint (false)'],
  [
    'a silent host is not asked for its labels',
    [hostView('a', { status: 'unknown' })],
    'host.labels.zone == "y"',
    null,
    '1 host seen: 1 not ready (no heartbeat from its agent)',
  ],
  [
    'the sentence of the design',
    [hostView('a', zone('x')), hostView('b', { ...zone('y'), ...used(10) }), hostView('c', { ...zone('y'), ...used(10) })],
    'host.labels.zone == "y"',
    null,
    '3 hosts seen: 2 full (sandboxes: 20 of 20), 1 refused by constraint (false)',
  ],
];

for (const [what, hosts, constraint, chosen, sentence] of cases) {
  test(`place: ${what}`, () => {
    const decision = place(hosts, { constraint: constraint === null ? null : compileConstraint(constraint) });
    assert.equal(decision.chosen, chosen);
    assert.equal(explain(decision), sentence);
    assert.deepEqual(Decision.parse(decision), decision);
  });
}

test('a host that had no slot at the commit is left out, and counted', () => {
  const decision = place([hostView('a'), hostView('b', used(5))], { constraint: null, exhausted: new Set(['a']) });
  assert.equal(explain(decision), '2 hosts seen: 1 full (no slot at the commit), 1 feasible, b is best with 0.5');
});

test('a decision keeps the five best with their parts, best first', () => {
  const hosts = [3, 1, 4, 0, 5, 9, 2].map((sandboxes) => hostView(`h${sandboxes}`, used(sandboxes, 0)));
  const { scores, hostsFeasible } = place(hosts, { constraint: null });
  assert.equal(hostsFeasible, 7);
  assert.deepEqual(
    scores.map((score) => score.hostId),
    ['h0', 'h1', 'h2', 'h3', 'h4'],
  );
  assert.deepEqual(scores[1]?.parts, { 'free.sandboxes': 0.9, 'free.idRanges': 1 });
});

test('a thousand different reasons are kept as twenty, and every host is still counted', () => {
  const hosts = Array.from({ length: 1000 }, (_, index) => hostView(`h${index}`));
  const { refusals } = place(hosts, { constraint: compileConstraint('host.labels[host.name] == "x"') });
  assert.equal(refusals.length, 20);
  assert.deepEqual(refusals.at(-1), { filter: 'others', reason: '981 more reasons', hosts: 981 });
});
