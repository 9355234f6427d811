/** Which system calls a sandbox may make: by the name of a profile (agent/sandbox/seccomp/). */
import { z } from 'zod';

export const seccompProfiles = ['strict', 'container', 'none'] as const;

export const SandboxSeccomp = z.strictObject({
  profile: z
    .enum(seccompProfiles)
    .describe(
      'strict: what programs need; container: about what Docker’s default lets through; none: no filter, where the host’s policy allows it',
    ),
});
export type SandboxSeccomp = z.infer<typeof SandboxSeccomp>;
