/** What a ready shim does beforehand, and which plans may follow. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { readKernelFacts } from '#agent/sandbox/kernel-facts.ts';
import { compileSandboxPlan } from '#agent/sandbox/plan.ts';
import { canFollow, firstPlan } from '#agent/sandbox/ready-plan.ts';
import type { HostRootFacts } from '#agent/sandbox/root-facts.ts';
import type { Plan } from '#shared/plan.ts';
import { SandboxSpec } from '#shared/sandbox.ts';
import type { SandboxSpecInput } from '#shared/sandbox.ts';
import { sourcesOf } from '#test/support/sandbox.ts';

const kernel = readKernelFacts(true);
const host: HostRootFacts = {
  topLevel: [
    { name: 'bin', link: 'usr/bin' },
    { name: 'lib', link: null },
  ],
  etc: [{ path: '/etc/ssl/certs', directory: true }],
  resolvConf: '',
};
const first = firstPlan(host, kernel);

function planOf(spec: Partial<SandboxSpecInput>, privileged = true): Plan {
  const idRange = privileged ? { start: 1_879_048_192, count: 65_536 } : null;
  return compileSandboxPlan({
    ...sourcesOf(SandboxSpec.parse({ command: ['x'], ...spec })),
    name: 'one',
    idRange,
    owner: { uid: 7, gid: 7 },
    host,
    kernel,
  });
}

/** As the shim goes through them. */
function holdsAll(plan: Plan): boolean {
  let next = 0;
  for (const operation of plan.operations) if (isDeepStrictEqual(operation, first.operations[next])) next += 1;
  return next === first.operations.length;
}

test('holds nothing of one sandbox, no file system of the host but devices, and nothing that needs ids', () => {
  const text = JSON.stringify(first.operations);
  assert.doesNotMatch(text, /"(devpts|hostname|unshare|overlay|umask|drop_capabilities|no_new_privs|remount_readonly)"/);
  assert.doesNotMatch(text, /\/etc\/(hostname|hosts)"/);
  for (const one of first.operations) if (one.op === 'tree') assert.notEqual(one.device, null);
  for (const op of ['propagation', 'root', 'proc', 'mask', 'readonly', 'sysctl', 'pivot_root', 'loopback_up'])
    assert.ok(
      first.operations.some((one) => one.op === op),
      op,
    );
});

test('every plan with the host’s root holds it whole and in order', () => {
  for (const spec of [{}, { hostname: 'other', env: { A: 'b' }, cwd: '/tmp' }, { user: { uid: 5, gid: 6 }, logMaxBytes: 70_000 }]) {
    const plan = planOf(spec);
    assert.ok(holdsAll(plan));
    assert.ok(canFollow(plan, first));
  }
});

test('a directory’s plan may follow without it; other namespaces, a plain user’s plan, or one that wants less may not', () => {
  const directory = planOf({ root: { type: 'directory', path: '/srv/root' } });
  assert.ok(!holdsAll(directory));
  assert.ok(canFollow(directory, first));
  const plan = planOf({});
  assert.ok(!canFollow(planOf({}, false), first));
  assert.ok(!canFollow(planOf({ capabilities: { add: ['CAP_NET_RAW'] } }), first));
  const late = { user: { uid: 'nobody', groups: [7] }, nice: 3, oomScoreAdj: 5, umask: '077', rlimits: { nofile: { soft: 1, hard: 2 } } };
  assert.ok(canFollow(planOf(late), first));
  assert.ok(!canFollow({ ...plan, namespaces: plan.namespaces.filter((type) => type !== 'net') }, first));
  assert.ok(!canFollow({ ...plan, kind: 'enter' }, first));
  for (const op of ['sysctl', 'loopback_up', 'drop_capabilities', 'propagation'])
    assert.ok(!canFollow({ ...plan, operations: plan.operations.filter((one) => one.op !== op) }, first), op);
});
