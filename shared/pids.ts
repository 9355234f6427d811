/** One process under all its names. */
import { z } from 'zod';
import { NamespaceKey } from './namespace.ts';
import { RawText } from './raw-text.ts';

export const PidTranslation = z.object({
  pid: z.int().positive().describe('as the agent of its host sees it'),
  start: z.string().regex(/^[0-9]{1,20}$/),
  uid: z.int().nonnegative(),
  comm: RawText,
  pids: z
    .array(z.object({ namespace: NamespaceKey.nullable().describe('null: hidden from the agent'), pid: z.int().positive() }))
    .max(32)
    .describe('outermost first; pid namespaces nest at most 32 deep'),
});
export type PidTranslation = z.infer<typeof PidTranslation>;
