/** Filters: what the compiler makes of a profile, compared with the profile itself and with what libseccomp makes of it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, describe, test } from 'node:test';
import fc from 'fast-check';
import { calls } from '#agent/sandbox/seccomp/calls.ts';
import type { Architecture } from '#agent/sandbox/seccomp/calls.ts';
import { compileProfile, encodeProgram } from '#agent/sandbox/seccomp/compile.ts';
import { decide } from '#agent/sandbox/seccomp/decide.ts';
import { profiles } from '#agent/sandbox/seccomp/filter.ts';
import { lowerHalf } from '#agent/sandbox/seccomp/profile.ts';
import type { ArgumentTest, Decision, Profile } from '#agent/sandbox/seccomp/profile.ts';
import { runFilter } from '#test/support/bpf.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { buildSecondCompiler } from '#test/support/libseccomp.ts';
import type { LibraryRule, SecondCompiler } from '#test/support/libseccomp.ts';

const dirs = temporaryDirectories();
const architectures = ['x86_64', 'aarch64'] as const;
const audit: Record<Architecture, number> = { x86_64: 0xc000003e, aarch64: 0xc00000b7 };
const results: Record<Decision, number> = { allow: 0x7fff0000, EPERM: 0x50001, ENOSYS: 0x50026 };
const killProcess = 0x80000000;
const cases = Object.values(profiles).flatMap((profile) => architectures.map((architecture) => ({ profile, architecture })));
/** Past the last call that there is, and gaps before it. */
const numbers = Array.from({ length: 520 }, (_, number) => number);

/** Values that some rule names, with what is beside them and above them. */
function interesting(profile: Profile): bigint[] {
  const values = profile.rules.flatMap(({ when }) => when.flat().flatMap(({ mask = lowerHalf, is }) => [is, mask, mask & -mask]));
  return [...new Set(values.flatMap((value) => [value, value + 1n, value - 1n, value | (1n << 32n), value | (0xffff_ffffn << 32n)]))].map(
    (value) => BigInt.asUintN(64, value),
  );
}

const argumentsOf = (profile: Profile): fc.Arbitrary<bigint[]> =>
  fc.array(fc.oneof(fc.constantFrom(...interesting(profile)), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })), { minLength: 6, maxLength: 6 });

for (const { profile, architecture } of cases) {
  describe(`${profile.name} on ${architecture}`, () => {
    const program = encodeProgram(compileProfile(profile, architecture));
    const arch = audit[architecture];
    const names = new Map([...calls[architecture]].map(([name, number]) => [number, name]));
    const run = (number: number, args: readonly bigint[]): number => runFilter(program, { number, arch, args });

    test('decides as the profile reads, for every number and any arguments', () => {
      for (const number of numbers)
        fc.assert(
          fc.property(argumentsOf(profile), (args) => {
            assert.equal(
              run(number, args),
              results[decide(profile, names.get(number) ?? null, args)],
              `${names.get(number) ?? number}(${args.join()})`,
            );
          }),
          { numRuns: profile.rules.some(({ call }) => call === names.get(number)) ? 2000 : 5 },
        );
    });

    test('knows no number of another ABI', () => {
      for (const other of [0, 3, 0x40000003, 0x40000028, audit[architecture === 'x86_64' ? 'aarch64' : 'x86_64']])
        for (const number of numbers) assert.equal(runFilter(program, { number, arch: other, args: [] }), killProcess);
      // x32, and what a tracer makes of a call that is to be passed over.
      for (const number of [...numbers.map((one) => 0x40000000 + one), 0x7fffffff, 0x80000000, 0xffffffff, 1000, 0x3fffffff])
        assert.equal(run(number, []), results.ENOSYS, String(number));
    });
  });
}

describe('libseccomp decides the same', () => {
  let library: SecondCompiler | null;
  before(() => {
    library = buildSecondCompiler(dirs.root);
  });

  for (const { profile, architecture } of cases) {
    test(`${profile.name} on ${architecture}`, (t) => {
      if (library === null) return t.skip('libseccomp-dev cannot be downloaded here');
      const program = encodeProgram(compileProfile(profile, architecture));
      const { allowing, refusing } = asLibraryRules(profile, architecture);
      // It knows one action for what no rule names, so it takes two filters, of which the kernel too would heed the stricter.
      const one = library.compile(architecture, results.EPERM, allowing);
      const two = library.compile(architecture, results.allow, refusing);
      const skipped = new Set(architecture === 'x86_64' ? [] : [...one.unknown, ...two.unknown]);
      assert.ok(skipped.size < 25, [...skipped].join());
      let compared = 0;
      for (const [name, number] of calls[architecture]) {
        if (skipped.has(name)) continue;
        fc.assert(
          fc.property(argumentsOf(profile), (args) => {
            const call = { number, arch: audit[architecture], args };
            const strict = runFilter(two.program, call);
            assert.equal(
              runFilter(program, call),
              strict === results.allow ? runFilter(one.program, call) : strict,
              `${name}(${args.join()})`,
            );
            compared += 1;
          }),
          { numRuns: profile.rules.some((rule) => rule.call === name) ? 2000 : 5 },
        );
      }
      assert.ok(compared > 5000);
    });
  }
});

function asLibraryRules(profile: Profile, architecture: Architecture): { allowing: LibraryRule[]; refusing: LibraryRule[] } {
  const rule = (name: string, action: number, tests: readonly ArgumentTest[] = []): LibraryRule[] => {
    const number = calls[architecture].get(name);
    if (number === undefined) return [];
    return [{ action, name, number, tests: tests.map(({ argument, mask = lowerHalf, is }) => ({ argument, mask, is })) }];
  };
  const ruled = (gives: Decision): LibraryRule[] =>
    profile.rules
      .filter((one) => one.gives === gives)
      .flatMap(({ call, when }) => when.flatMap((tests) => rule(call, results[gives], tests)));
  const open = profile.rules.filter(({ otherwise }) => otherwise === 'allow').map(({ call }) => call);
  return {
    allowing: [...[...profile.allow, ...open].flatMap((name) => rule(name, results.allow)), ...ruled('allow')],
    refusing: [...profile.absent.flatMap((name) => rule(name, results.ENOSYS)), ...ruled('EPERM')],
  };
}

test('a capability opens what it is good for, and nothing else', () => {
  const program = encodeProgram(compileProfile(profiles.strict, 'x86_64', new Set(['CAP_SYS_CHROOT', 'CAP_NET_BIND_SERVICE'])));
  const plain = encodeProgram(compileProfile(profiles.strict, 'x86_64'));
  const differs = numbers.filter((number) => {
    const call = { number, arch: audit.x86_64, args: [] };
    return runFilter(program, call) !== runFilter(plain, call);
  });
  assert.deepEqual(differs, [calls.x86_64.get('chroot')]);
});

test('a name that is no system call, and a test that never holds, are mistakes, not holes', () => {
  const profile = { ...profiles.strict, allow: [...profiles.strict.allow, 'raed'] };
  assert.throws(() => compileProfile(profile, 'x86_64'), /profile strict names raed/);
  const rules = [{ call: 'read', when: [[{ argument: 0, mask: 1n, is: 2n }]], gives: 'EPERM' as const, otherwise: 'allow' as const }];
  assert.throws(() => compileProfile({ ...profiles.strict, rules }, 'x86_64'), /a test of argument 0 never holds/);
});

/** Few bits, so that random arguments meet them. */
const word = fc.bigInt({ min: 0n, max: 15n }).map((bits) => ((bits >> 2n) << 40n) | (bits & 3n));
const anyTest = fc.record({ argument: fc.nat(5), mask: word, is: word }).map((one) => ({ ...one, is: one.is & one.mask }));
const anyRule = fc.record({
  call: fc.constantFrom('read', 'socket', 'clone'),
  when: fc.array(fc.array(anyTest, { minLength: 1, maxLength: 4 }), { maxLength: 4 }),
  gives: fc.constantFrom<Decision>('allow', 'EPERM', 'ENOSYS'),
  otherwise: fc.constantFrom<Decision>('allow', 'EPERM'),
});

test('any tests of whole registers: all of one conjunction, both halves of each argument', () => {
  const seen = new Set<Decision>();
  fc.assert(
    fc.property(anyRule, fc.array(fc.array(word, { minLength: 6, maxLength: 6 }), { minLength: 20 }), (rule, samples) => {
      const profile: Profile = { name: 'any', allow: ['write'], absent: [], rules: [rule], byCapability: {} };
      const program = encodeProgram(compileProfile(profile, 'x86_64'));
      for (const args of samples) {
        const decision = decide(profile, rule.call, args);
        seen.add(decision);
        assert.equal(runFilter(program, { number: calls.x86_64.get(rule.call) ?? -1, arch: audit.x86_64, args }), results[decision]);
      }
    }),
    { numRuns: 500 },
  );
  assert.equal(seen.size, 3);
});

test('far jumps: a profile with hundreds of rules; more than the kernel takes are refused', () => {
  const when = [[{ argument: 0, is: 1n }], [{ argument: 1, mask: 0xff00_0000_0000_0000n, is: 0x1200_0000_0000_0000n }]];
  const all = [...calls.x86_64.keys()].map((call, index) => ({
    call,
    when: [...when, [{ argument: 2, is: BigInt(index) }]],
    gives: 'allow' as const,
    otherwise: 'EPERM' as const,
  }));
  const rules = all.slice(0, 300);
  const profile: Profile = { name: 'far', allow: [], absent: [], rules, byCapability: {} };
  assert.throws(() => compileProfile({ ...profile, rules: all }, 'x86_64'), /profile far has \d+ instructions/);
  const program = encodeProgram(compileProfile(profile, 'x86_64'));
  assert.ok(program.length / 8 > 3000);
  [...calls.x86_64].forEach(([name, number], index) => {
    for (const args of [[1n], [0n, 0x12ab_0000_0000_0000n], [0n, 0n, BigInt(index)], [0n, 0n, BigInt(index + 1)], [0n, 0x12n << 48n]])
      assert.equal(
        runFilter(program, { number, arch: audit.x86_64, args }),
        results[decide(profile, name, args)],
        `${name}(${args.join()})`,
      );
  });
});

test('the programs are those that were looked at', () => {
  // A change of a profile, a table or the compiler changes them: look at what it lets through, then put the new one here.
  const digests = cases.map(({ profile, architecture }) => [
    `${profile.name} ${architecture}`,
    createHash('sha256')
      .update(encodeProgram(compileProfile(profile, architecture)))
      .digest('hex')
      .slice(0, 16),
  ]);
  assert.deepEqual(Object.fromEntries(digests), {
    'strict x86_64': 'd8663626cb42994a',
    'strict aarch64': '396fbd467e873596',
    'container x86_64': '5a5ac18a88a2c7ee',
    'container aarch64': 'ac9548203bf9f262',
  });
});
