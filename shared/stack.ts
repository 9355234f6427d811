/** What `npm start` writes about itself into the runtime directory, so that the CLI finds its stack and the next start its leftovers. */
import { z } from 'zod';

export const StackProcess = z.object({
  part: z.string(),
  pid: z.int().positive(),
  start: z.string().describe('start time in clock ticks since boot: with pid and boot id, the identity'),
});

export const Stack = z.object({
  version: z.literal(1),
  bootId: z.string(),
  api: z.url().describe('base address of the HTTP API'),
  tokenFile: z.string(),
  hostId: z.string(),
  processes: z.array(StackProcess),
});
export type Stack = z.infer<typeof Stack>;
