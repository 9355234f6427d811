/** Text that a process chose (shared/raw-text.ts), made harmless for a terminal already. */
import { printableRaw } from '#shared/raw-text.ts';

/** A cell or value that is printed as it stands. */
export type Shown = { readonly shown: string };

/** A raw text as a cell; nothing stays nothing. */
export function raw(text: string): Shown;
export function raw(text: string | null | undefined): Shown | null;
export function raw(text: string | null | undefined): Shown | null {
  return text === null || text === undefined || text === '' ? null : { shown: printableRaw(text) };
}
