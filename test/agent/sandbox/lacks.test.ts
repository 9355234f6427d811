/** What a host cannot give of a spec: a table of specs and hosts, and what follows from it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { KernelFacts } from '#agent/sandbox/kernel-facts.ts';
import { resolveProcess } from '#agent/image/process.ts';
import type { ResolvedSpec } from '#agent/image/process.ts';
import { fit, fitOrRefuse } from '#agent/sandbox/lacks.ts';
import type { HostAbilities } from '#agent/sandbox/lacks.ts';
import { capabilityNames } from '#shared/capability.ts';
import { NsfleetError, fromWire } from '#shared/errors.ts';
import { exceeds, rlimitNames } from '#shared/process.ts';
import { SandboxSpec } from '#shared/sandbox.ts';
import type { SandboxSpecInput } from '#shared/sandbox.ts';

const hardLimits = Object.fromEntries(rlimitNames.map((name) => [name, name === 'nofile' ? 4096 : 1000])) as KernelFacts['hardLimits'];
const able: HostAbilities = {
  noControllers: new Map(),
  landlockAbi: 6,
  privileged: true,
  capabilities: [...capabilityNames],
  capabilityLast: 40,
  openFilesMax: 1_000_000,
  nice: 0,
  oomScoreAdj: 0,
  hardLimits,
};
const plain: HostAbilities = { ...able, privileged: false, capabilities: [], nice: 5, oomScoreAdj: 100 };
const without = (name: string): HostAbilities => ({ ...able, capabilities: able.capabilities.filter((one) => one !== name) });
const specOf = (spec: Partial<SandboxSpecInput>): ResolvedSpec => resolveProcess(SandboxSpec.parse({ command: ['true'], ...spec }), null);

type Row = [name: string, spec: Partial<SandboxSpecInput>, host: HostAbilities, lacks: [what: string, asked: string, has: string][]];
const table: Row[] = [
  ['nothing asked for', {}, able, []],
  ['nothing asked for, of a plain user with a priority', {}, plain, []],
  ['root by name', { user: { uid: 'root', gid: 'root' } }, plain, []],
  ['another user', { user: { uid: 'www', gid: 5 } }, plain, [['user', 'www:5', '0:0']]],
  ['groups', { user: { uid: 0, gid: 0, groups: [7, 'log'] } }, plain, [['user', '0:0 7 log', '0:0']]],
  ['another user, of root', { user: { uid: 'www' } }, able, []],
  ['a limit below', { rlimits: { nproc: { soft: 1, hard: 1000 } } }, plain, []],
  ['a limit above', { rlimits: { nproc: { soft: 1, hard: 1001 } } }, plain, [['rlimit nproc', '1001', '1000']]],
  ['a limit above, of root', { rlimits: { nproc: { soft: 1, hard: 'unlimited' } } }, able, []],
  [
    'a limit above, of root without the capability',
    { rlimits: { nproc: { soft: 'unlimited', hard: 'unlimited' }, core: { soft: 0, hard: 5000 } } },
    without('CAP_SYS_RESOURCE'),
    [
      ['rlimit core', '5000', '1000'],
      ['rlimit nproc', 'unlimited', '1000'],
    ],
  ],
  ['open files up to nr_open', { rlimits: { nofile: { soft: 1, hard: 1_000_000 } } }, able, []],
  [
    'open files above nr_open',
    { rlimits: { nofile: { soft: 2_000_000, hard: 2_000_000 } } },
    able,
    [['rlimit nofile', '2000000', '1000000']],
  ],
  ['Landlock', { landlock: { readable: ['/usr'], bindTcp: [80], connectTcp: [] } }, able, []],
  [
    'Landlock of an older kernel',
    { landlock: { readable: ['/usr'], bindTcp: [80] } },
    { ...able, landlockAbi: 3 },
    [['Landlock rules for TCP ports', 'bind 80', 'version 3']],
  ],
  [
    'Landlock that is not there',
    { landlock: { readable: ['/usr'], writable: ['/tmp'], connectTcp: [] } },
    { ...able, landlockAbi: -95 },
    [
      ['Landlock rules for paths', '/usr /tmp', 'none'],
      ['Landlock rules for TCP ports', 'none', 'none'],
    ],
  ],
  ['a higher priority', { nice: -1 }, without('CAP_SYS_NICE'), [['nice', '-1', '0']]],
  ['a lower priority', { nice: 19 }, plain, []],
  ['the default priority said aloud', { nice: 0 }, plain, [['nice', '0', '5']]],
  ['a lower score', { oomScoreAdj: 99 }, plain, [['oomScoreAdj', '99', '100']]],
  ['a higher score', { oomScoreAdj: 100 }, plain, []],
  [
    'limits without their controllers',
    { resources: { memoryBytes: 4096, memoryHighBytes: 4096, pids: 5, cpus: 2 } },
    { ...able, noControllers: new Map([['memory', 'not there'] as const, ['pids', 'nor this'] as const, ['io', 'nor that'] as const]) },
    [
      ['limits of memory', 'memory.high 4096, memory.swap.max 0, memory.max 4096', 'none'],
      ['limits of pids', 'pids.max 5', 'none'],
    ],
  ],
  [
    'capabilities of a newer kernel',
    { capabilities: { add: ['CAP_BPF', 'CAP_CHOWN', 'CAP_BPF', 'CAP_PERFMON'] } },
    { ...able, capabilityLast: 37 },
    [
      ['capability CAP_BPF', '39', 'none'],
      ['capability CAP_PERFMON', '38', 'none'],
    ],
  ],
];
for (const [name, spec, host, expected] of table)
  test(name, () => {
    const { lacks } = fit(specOf(spec), host);
    assert.deepEqual(
      lacks.map(({ what, asked, has }) => [what, asked, has]),
      expected,
    );
    if (expected.length === 0) assert.deepEqual(fit(specOf(spec), host).spec, specOf(spec));
  });

test('all that is missing is in one refusal, which keeps its list over the wire; or in what is gone without', () => {
  const spec = specOf({ user: { uid: 5 }, nice: -5, rlimits: { nofile: { soft: 1, hard: 5000 } } });
  assert.throws(
    () => fitOrRefuse(spec, plain, 'web'),
    (error) => {
      assert.ok(error instanceof NsfleetError);
      assert.equal(error.code, 'SPEC_UNAVAILABLE');
      assert.deepEqual(
        error.missing?.map(({ what }) => what),
        ['user', 'rlimit nofile', 'nice'],
      );
      for (const word of ['user', 'rlimit nofile', '5000', 'nice']) assert.match(error.message, new RegExp(word));
      assert.deepEqual(fromWire(JSON.parse(JSON.stringify(error.toWire()))).missing, error.missing);
      return true;
    },
  );
  const allowed = fitOrRefuse({ ...spec, allowDegraded: true }, plain, 'web');
  assert.equal(allowed.lacks.length, 3);
  assert.deepEqual(allowed.spec.rlimits.nofile, { soft: 1, hard: 4096 });
  assert.deepEqual([allowed.spec.nice, allowed.spec.user.uid], [5, 0]);
});

test('what is left lacks nothing, and nothing changes that no lack names', () => {
  const value = fc.oneof(fc.integer({ min: 0, max: 3_000_000 }), fc.constant('unlimited' as const));
  const limit = fc.tuple(value, value).map(([a, b]) => (exceeds(a, b) ? { soft: b, hard: a } : { soft: a, hard: b }));
  const spec = fc.record({
    rlimits: fc.dictionary(fc.constantFrom(...rlimitNames), limit),
    nice: fc.option(fc.integer({ min: -20, max: 19 }), { nil: undefined }),
    oomScoreAdj: fc.option(fc.integer({ min: -1000, max: 1000 }), { nil: undefined }),
    capabilities: fc.record({ add: fc.array(fc.constantFrom(...capabilityNames), { maxLength: 5 }) }),
    landlock: fc.constantFrom<NonNullable<SandboxSpecInput['landlock']>>(
      {},
      { writable: ['/tmp'] },
      { bindTcp: [] },
      { readable: ['/usr'], connectTcp: [80] },
    ),
    user: fc.record({ uid: fc.oneof(fc.integer({ min: 0, max: 65_534 }), fc.constantFrom('root', 'www')) }),
  });
  const host = fc.record({
    privileged: fc.boolean(),
    capabilities: fc.subarray(['CAP_SYS_NICE', 'CAP_SYS_RESOURCE']),
    capabilityLast: fc.integer({ min: 30, max: 41 }),
    openFilesMax: fc.integer({ min: 1000, max: 2_000_000 }),
    nice: fc.integer({ min: -20, max: 19 }),
    oomScoreAdj: fc.integer({ min: -1000, max: 1000 }),
    hardLimits: fc.constant(hardLimits),
    noControllers: fc.constant(able.noControllers),
    landlockAbi: fc.integer({ min: -95, max: 8 }),
  });
  fc.assert(
    fc.property(spec, host, (input, kernel) => {
      const asked = specOf(input);
      const first = fit(asked, kernel);
      assert.deepEqual(fit(first.spec, kernel), { spec: first.spec, lacks: [] });
      SandboxSpec.parse(first.spec);
      if (first.lacks.length === 0) assert.deepEqual(first.spec, asked);
      const named = new Set(first.lacks.map(({ what }) => what));
      for (const name of rlimitNames)
        if (!named.has(`rlimit ${name}`)) assert.deepEqual(first.spec.rlimits[name], asked.rlimits[name], name);
    }),
  );
});
