/** The one form in which every program of nsfleet tells on standard error why it failed. */
import type { NsfleetError } from './errors.ts';
import { printable, printableJson } from './escape.ts';

/**
 * `error: CODE: sentence`, then `  what to do: remedy`; with `json` one object `{"error": …}` as the API has it. Control characters are
 * shown instead of obeyed; the lines of a reason that has several (a log's end) stay apart.
 */
export function failureText(error: NsfleetError, json: boolean): string {
  if (json) return `${printableJson({ error: error.toWire() })}\n`;
  const message = error.message.split('\n').map((line) => printable(line));
  return `error: ${error.code}: ${message.join('\n  ')}\n  what to do: ${printable(error.remedy)}\n`;
}
