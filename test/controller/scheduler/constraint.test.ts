import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileConstraint } from '#controller/scheduler/constraint.ts';
import { NsfleetError } from '#shared/errors.ts';
import { hostView } from './hosts.ts';

const wrong: [expression: string, reason: RegExp][] = [
  ['', /EOF.*column 1/],
  ['host.labels.zone ==', /Unexpected token: EOF \(column 20\)/],
  ['hosts.labels.zone == "a"', /Unknown variable: hosts \(column 1\)/],
  ['host.zone == "a"', /No such key: zone \(column 6\)/],
  ['host.labels.zone == 1', /no such overload: string == int/],
  ['1', /yields int, not true or false/],
  ['"a"', /yields string, not true or false/],
  ['host.name.matches("^(a+)+$")', /matches\(\) is not offered.*column/],
  ['[1].all(a, [1].all(b, [1].all(c, a + b + c > 0)))', /all\(\) nested more than 2 deep/],
  ['('.repeat(100) + 'true' + ')'.repeat(100), /depth/i],
  [Array.from({ length: 600 }, () => 'true').join(' && '), /nodes/i],
];

for (const [expression, reason] of wrong) {
  test(`refused: ${expression.slice(0, 60)}`, () => {
    assert.throws(
      () => compileConstraint(expression),
      (error) => error instanceof NsfleetError && error.code === 'CONSTRAINT_INVALID' && reason.test(error.reason),
    );
  });
}

test('a constraint can loop over labels', () => {
  const constraint = compileConstraint('host.labels.exists(key, key.startsWith("gpu"))');
  assert.equal(constraint(hostView('a', { labels: { gpu0: 'h100' } })), null);
  assert.equal(constraint(hostView('a', { labels: { cpu: 'x' } })), 'false');
});

test('labels named like JavaScript’s own properties are only labels', () => {
  const constraint = compileConstraint('host.labels["constructor"] == "x"');
  assert.match(constraint(hostView('a')) ?? '', /No such key/);
  assert.equal(constraint(hostView('a', { labels: { constructor: 'x' } })), null);
});

test('no function doubles what another one named: cel.bind is not offered', () => {
  const doubling = Array.from({ length: 12 }, (_, level) => `cel.bind(v${level + 1}, v${level}+v${level}, `).join('');
  const expression = `cel.bind(v0, [1], ${doubling}size(v12) > 1${')'.repeat(13)}`;
  assert.throws(() => compileConstraint(expression), { code: 'CONSTRAINT_INVALID', reason: /bind\(\) is not offered/ });
});
