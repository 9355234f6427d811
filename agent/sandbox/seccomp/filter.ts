/** The filter that a sandbox is bound by, as an operation of its plan; compiled once for all sandboxes that share it. */
import { NsfleetError } from '#shared/errors.ts';
import type { PlanOperation } from '#shared/plan.ts';
import type { SandboxSeccomp } from '#shared/seccomp.ts';
import type { Architecture } from './calls.ts';
import { compileProfile, encodeProgram } from './compile.ts';
import { container } from './container.ts';
import { compileLog } from './log.ts';
import type { Profile } from './profile.ts';
import { strict } from './strict.ts';

export const profiles: Readonly<Record<'strict' | 'container', Profile>> = { strict, container };

const architectures: Readonly<Record<string, Architecture>> = { x64: 'x86_64', arm64: 'aarch64' };

/** Base64 by profile and capabilities: a compile takes half a millisecond, as much as all the rest of a plan. */
const compiled = new Map<string, string>();

/**
 * Of the first process of a sandbox and of those that enter it; none where it asked for none. `granted`: the capabilities that it is given, of
 * which those that a profile does not know change nothing.
 */
export function seccompOperations({ profile }: SandboxSeccomp, granted: readonly string[]): PlanOperation[] {
  if (profile === 'none') return [];
  if (profile === 'log')
    return [{ op: 'seccomp_log', side: 'inner', profile, program: encodeProgram(compileLog(architectureHere())).toString('base64') }];
  const capabilities = Object.keys(profiles[profile].byCapability).filter((name) => granted.includes(name));
  return [{ op: 'seccomp', side: 'inner', profile, program: programOf(profile, capabilities) }];
}

function programOf(name: keyof typeof profiles, capabilities: readonly string[]): string {
  const key = [name, ...capabilities].join(' ');
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const program = encodeProgram(compileProfile(profiles[name], architectureHere(), new Set(capabilities))).toString('base64');
  compiled.set(key, program);
  return program;
}

/** Of this agent, and so of its sandboxes. */
export function architectureHere(): Architecture {
  const architecture = architectures[process.arch];
  if (architecture !== undefined) return architecture;
  throw new NsfleetError('SANDBOX_CREATE_FAILED', {
    attempted: 'compile filter',
    target: 'sandbox',
    reason: `there is no table of system calls for ${process.arch}`,
  });
}
