/** From spec to plan: what is decided, without a kernel. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KernelFacts } from '#agent/sandbox/kernel-facts.ts';
import { compileEnterPlan, compileSandboxPlan } from '#agent/sandbox/plan.ts';
import type { HostRootFacts } from '#agent/sandbox/root-facts.ts';
import { encodePlan } from '#native/plan-wire.ts';
import { formatPlan } from '#shared/plan-text.ts';
import { Plan } from '#shared/plan.ts';
import type { PlanOperation } from '#shared/plan.ts';
import { rlimitNames } from '#shared/process.ts';
import { SandboxSpec } from '#shared/sandbox.ts';
import type { SandboxSpecInput } from '#shared/sandbox.ts';
import { sourcesOf } from '#test/support/sandbox.ts';

const unlimited = Object.fromEntries(rlimitNames.map((name) => [name, 'unlimited'])) as KernelFacts['hardLimits'];
const kernel: KernelFacts = {
  privileged: true,
  capabilities: [],
  capabilityLast: 40,
  openFilesMax: 1_048_576,
  nice: 0,
  oomScoreAdj: 0,
  hardLimits: { ...unlimited, nofile: 4096 },
};
const host: HostRootFacts = {
  topLevel: [
    { name: 'bin', link: 'usr/bin' },
    { name: 'lib', link: null },
  ],
  etc: [
    { path: '/etc/ld.so.cache', directory: false },
    { path: '/etc/pki/tls/certs', directory: true },
  ],
  resolvConf: 'nameserver 192.0.2.1\n',
};
const idRange = { start: 1_879_048_192, count: 65_536 };
const owner = { uid: 1000, gid: 1001 };

function compile(spec: Partial<SandboxSpecInput> = {}, range: typeof idRange | null = idRange): Plan {
  return compileSandboxPlan({
    ...sourcesOf(SandboxSpec.parse({ command: ['true'], ...spec })),
    name: 'web',
    idRange: range,
    owner,
    host,
    kernel,
  });
}

function indexOf(plan: Plan, op: PlanOperation['op'], text = ''): number {
  return plan.operations.findIndex((operation) => operation.op === op && JSON.stringify(operation).includes(text));
}

const specs: Partial<SandboxSpecInput>[] = [
  {},
  { user: { uid: 7, gid: 8 }, env: { A: 'b' }, cwd: '/tmp', hostname: 'x' },
  { root: { type: 'directory', path: '/srv/root' } },
  { root: { type: 'directory', path: '/srv/root', writable: false } },
  { root: { type: 'directory', path: '/srv/root', upper: { type: 'memory', sizeBytes: 1 << 20 } } },
  {
    volumes: [
      { type: 'bind', source: '/srv/data', target: '/deep/er' },
      { type: 'tmpfs', target: '/deep' },
    ],
  },
];

test('every plan satisfies its own model and can be encoded and printed', () => {
  for (const spec of specs) {
    for (const range of [idRange, null]) {
      const plan = compile(spec, range);
      assert.deepEqual(Plan.parse(plan), plan);
      assert.ok(encodePlan(plan).length > 1000);
      const text = formatPlan(plan);
      plan.operations.forEach((operation, index) =>
        assert.match(text, new RegExp(`^ *${index}  ${operation.side} +${operation.op}( |$)`, 'm')),
      );
    }
  }
});

test('host operations only where there is host privilege, and before the inner ones', () => {
  const sides = compile().operations.map(({ side }) => side);
  assert.equal(sides.lastIndexOf('host') + 1, sides.indexOf('inner'));
  assert.ok(compile({}, null).operations.every(({ side }) => side === 'inner'));
});

test('ids: the range, or the owner’s one id with setgroups denied', () => {
  const ranged = compile();
  assert.deepEqual(ranged.idMaps, {
    uid: [{ inside: 0, outside: idRange.start, count: 65_536 }],
    gid: [{ inside: 0, outside: idRange.start, count: 65_536 }],
  });
  assert.equal(ranged.setgroupsDeny, false);
  const plain = compile({}, null);
  assert.deepEqual(plain.idMaps, { uid: [{ inside: 0, outside: 1000, count: 1 }], gid: [{ inside: 0, outside: 1001, count: 1 }] });
  assert.equal(plain.setgroupsDeny, true);
  assert.deepEqual(plain.operations[indexOf(plain, 'devpts')], { op: 'devpts', side: 'inner', target: '/dev/pts', gid: null });
});

test('the order that isolation rests on', () => {
  for (const spec of specs) {
    const plan = compile(spec);
    const order = [
      indexOf(plan, 'propagation'),
      indexOf(plan, 'root'),
      indexOf(plan, 'proc'),
      indexOf(plan, 'attach', '/dev/null'),
      indexOf(plan, 'sysctl'),
      indexOf(plan, 'mask'),
      indexOf(plan, 'readonly', '/proc/sys'),
      indexOf(plan, 'pivot_root'),
      indexOf(plan, 'session_keyring'),
      indexOf(plan, 'no_new_privs'),
      indexOf(plan, 'drop_capabilities'),
    ];
    assert.ok(
      order.every((index) => index >= 0),
      String(order),
    );
    assert.deepEqual(
      order.toSorted((a, b) => a - b),
      order,
    );
  }
});

test('every slot that is attached or masked with was filled before, each once', () => {
  for (const spec of specs) {
    const filled = new Set<number>();
    for (const operation of compile(spec).operations) {
      if (operation.op === 'tree' || operation.op === 'overlay') {
        assert.ok(!filled.has(operation.slot));
        filled.add(operation.slot);
      }
      if (operation.op === 'attach' || operation.op === 'mask') assert.ok(filled.has(operation.slot));
    }
  }
});

test('nothing of the host is writable, set-uid or a device, but for the six devices', () => {
  for (const operation of compile().operations) {
    if (operation.op !== 'tree') continue;
    assert.equal(operation.nosuid, true);
    assert.equal(operation.readonly, operation.device === null);
    assert.equal(operation.nodev, operation.device === null);
  }
});

test('the host’s layout is followed: links, directories, parents of mount points', () => {
  const plan = compile();
  assert.notEqual(indexOf(plan, 'symlink', '"/bin","to":"usr/bin"'), -1);
  assert.notEqual(indexOf(plan, 'attach', '"/lib"'), -1);
  const certs = indexOf(plan, 'attach', '/etc/pki/tls/certs');
  for (const parent of ['"/etc/pki"', '"/etc/pki/tls"']) {
    const index = indexOf(plan, 'mkdir', parent);
    assert.ok(index >= 0 && index < certs, parent);
  }
});

test('hostname: the spec’s, else the sandbox’s name', () => {
  assert.notEqual(indexOf(compile(), 'hostname', '"web"'), -1);
  const named = compile({ hostname: 'other' });
  assert.notEqual(indexOf(named, 'hostname', '"other"'), -1);
  assert.match(JSON.stringify(named.operations[indexOf(named, 'file', '/etc/hosts')]), /127\.0\.1\.1 other/);
});

test('environment: two defaults, which the spec overrides, and nothing inherited', () => {
  assert.deepEqual(compile({ env: { HOME: '/h', X: 'y' } }).exec.env, {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOSTNAME: 'web',
    HOME: '/h',
    X: 'y',
  });
  assert.deepEqual(Object.keys(compile().exec.env), ['PATH', 'HOSTNAME'], 'the rest is for the root’s passwd to say');
});

test('what enters is bound as the first process', () => {
  const spec = SandboxSpec.parse({
    command: ['true'],
    user: { uid: 'www', gid: 'data', groups: [7, 'log'] },
    rlimits: { nofile: { soft: 5, hard: 'unlimited' }, core: { soft: 1, hard: 2 } },
    umask: '077',
    nice: 7,
    oomScoreAdj: 500,
    capabilities: { add: ['CAP_NET_RAW'] },
  });
  const enter = compileEnterPlan({
    command: ['x'],
    env: {},
    cwd: '/',
    user: spec.user ?? assert.fail(),
    spec,
    hostname: 'web',
    idRange,
    joined: null,
    owner,
    kernel,
  });
  const run = compile(spec);
  assert.deepEqual(Plan.parse(enter), enter);
  assert.deepEqual(enter.idMaps, run.idMaps);
  const ofProcess = new Set(['raise_rlimit', 'nice', 'oom_score_adj']);
  const first = run.operations.filter(
    ({ op }, index) => ofProcess.has(op) || (index >= indexOf(run, 'session_keyring') && op !== 'dumpable'),
  );
  assert.deepEqual(enter.operations, first);
});

test('a plan’s text keeps to its lines, whatever is in it', () => {
  const text = formatPlan(compile({ command: ['a\nb', '\u001b[31m'], env: { X: 'c\nd' } }));
  assert.ok(!text.includes('\u001b'));
  assert.ok(text.split('\n').every((line) => !/^[bd]/.test(line)));
});
