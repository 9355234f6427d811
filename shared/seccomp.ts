/** Which system calls a sandbox may make: by the name of a profile (agent/sandbox/seccomp/). */
import { z } from 'zod';

export const seccompProfiles = ['strict', 'container', 'none', 'log'] as const;

export const SandboxSeccomp = z.strictObject({
  profile: z
    .enum(seccompProfiles)
    .describe(
      'strict: what programs need; container: about what Docker’s default lets through; none: no filter, where the host’s policy allows it; log: none either, and what the first process and its children call is written down',
    ),
});
export type SandboxSeccomp = z.infer<typeof SandboxSeccomp>;

/** What a sandbox with the profile `log` called. */
export const CalledReport = z.object({
  calls: z.array(z.string()).describe('every system call by name, or `#` and its number, sorted'),
  refused: z
    .object({ strict: z.array(z.string()), container: z.array(z.string()) })
    .describe('which of them each profile would refuse; in brackets the first three arguments where they decide'),
  suggestion: z.enum(['strict', 'container', 'none']).describe('the strictest profile that refuses none of them'),
});
export type CalledReport = z.infer<typeof CalledReport>;
