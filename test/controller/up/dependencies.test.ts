/** When `npm ci` has to run. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { agrees, root } from '#controller/up/dependencies.mjs';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
type Lock = { packages: Record<string, { version?: string; integrity?: string; optional?: boolean }> };
const lock: Lock = {
  packages: {
    '': {},
    'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
    'node_modules/for-another-machine': { version: '2.0.0', integrity: 'sha512-b', optional: true },
  },
};
const installed = (a: Lock['packages'][string]): Lock => ({ packages: { 'node_modules/a': a } });

test('node_modules agrees with the lock when each package is there that this machine needs', () => {
  assert.equal(agrees(lock, installed({ version: '1.0.0', integrity: 'sha512-a' })), true);
});

test('a missing, older, altered or superfluous package, and no node_modules at all, do not', () => {
  assert.equal(agrees(lock, null), false);
  assert.equal(agrees(lock, { packages: {} }), false);
  assert.equal(agrees(lock, installed({ version: '0.9.0', integrity: 'sha512-a' })), false);
  assert.equal(agrees(lock, installed({ version: '1.0.0', integrity: 'sha512-x' })), false);
  const more = installed({ version: '1.0.0', integrity: 'sha512-a' });
  more.packages['node_modules/b'] = { version: '1.0.0' };
  assert.equal(agrees(lock, more), false);
});

test('what npm ci left here agrees', () => {
  const read = (...path: string[]) => JSON.parse(readFileSync(join(root, ...path), 'utf8')) as Lock;
  assert.equal(agrees(read('package-lock.json'), read('node_modules', '.package-lock.json')), true);
});
