/** Who may run without a filter of system calls: decided by the host, for the first process and for every later one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkRunning, checkSpec } from '#agent/policy.ts';
import { PolicyFile, policyOf } from '#agent/policy/model.ts';
import { SandboxSpec } from '#shared/sandbox.ts';

test('a sandbox without a filter only where the policy says so', () => {
  const policy = (text: object) => policyOf(PolicyFile.parse({ version: 1, ...text }), null, {}, []);
  const spec = (profile?: 'strict' | 'container' | 'none' | 'log') =>
    SandboxSpec.parse({ command: ['true'], ...(profile === undefined ? {} : { seccomp: { profile } }) });
  assert.equal(spec().seccomp.profile, 'strict');
  for (const check of [checkSpec, checkRunning]) {
    assert.throws(() => check(spec('none'), policy({}), 'x'), { code: 'POLICY_REFUSED', remedy: /seccomp: \{none: true\}/ });
    assert.throws(() => check(spec('log'), policy({}), 'x'), { code: 'POLICY_REFUSED' });
    for (const open of ['none', 'log'] as const) check(spec(open), policy({ seccomp: { none: true } }), 'x');
    for (const one of [spec(), spec('strict'), spec('container')]) check(one, policy({}), 'x');
  }
});
