/** How events are asked for: where to begin and which are wanted, by HTTP and over the WebSocket. */
import { z } from 'zod';
import { Moment } from './moment.ts';

/** A name, id or prefix as people type it. */
export const Text = z.string().min(1).max(255);
export const filter = z
  .string()
  .min(1)
  .max(4096)
  .optional()
  .describe('CEL over the fields of the noun (docs/filters.md): type == "net" && processes == 0 && age > duration("10m")');
export const Seq = z.string().regex(/^[0-9]{1,18}$/, 'a number of an event');
/**
 * Where to begin with events. A number is exact: whoever gives that of the last one that came misses none and gets none twice. A moment is where
 * the first event is that happened then or later, looked up once: to go on from there, give the number that came with the answer.
 */
export const Since = z
  .string()
  .max(40)
  .refine(
    (text) => Seq.safeParse(text).success || Moment.safeParse(text).success,
    'the number of an event, or a moment: 2026-11-20T14:00 (UTC unless it ends in a zone), 2026-11-20, now, or -90m, -2h, -7d',
  )
  .describe('events after that number, exactly; or those of that moment (RFC 3339, a date, `-10m`) and later');
export const eventChoice = {
  host: Text.optional().describe('host id or name'),
  sandbox: Text.optional().describe('id, unique prefix of it, or name'),
  namespace: z
    .string()
    .regex(/^[0-9]{1,18}$/, 'nsfleet’s number of a namespace')
    .optional(),
  filter,
};
export const TypeList = z
  .string()
  .regex(/^[a-z_.-]{1,40}(,[a-z_.-]{1,40}){0,19}$/, 'types, or beginnings of them, with commas between: namespace.,leak.found');
