/** What a spec asks for and a host cannot give. Refused, or, where the spec allows it, done without and told in the sandbox’s status. */
import { z } from 'zod';

export const Lack = z.object({
  what: z.string().max(128).describe('of the spec: `rlimit nofile`, `capability CAP_BPF`'),
  asked: z.string().max(256),
  has: z.string().max(256).describe('what there is instead, and what the sandbox gets where that is allowed'),
  reason: z.string().max(512),
});
export type Lack = z.infer<typeof Lack>;

/** Most of one spec: each part of it lacks once. */
export const lacksMax = 64;
export const Lacks = z.array(Lack).max(lacksMax);

/** `rlimit nofile: asked for 5000000, there is 1048576 (fs.nr_open is 1048576)` */
export function lackText({ what, asked, has, reason }: Lack): string {
  return `${what}: asked for ${asked}, there is ${has} (${reason})`;
}
