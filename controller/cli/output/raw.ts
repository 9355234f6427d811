/** Text that a process chose (shared/raw-text.ts), made harmless for a terminal already. */
import { printable } from '#shared/escape.ts';
import { printableRaw } from '#shared/raw-text.ts';

/** A cell or value that is printed as it stands. */
export type Shown = { readonly shown: string };

/** A raw text as a cell; nothing stays nothing. */
export function raw(text: string): Shown;
export function raw(text: string | null | undefined): Shown | null;
export function raw(text: string | null | undefined): Shown | null {
  return text === null || text === undefined || text === '' ? null : { shown: printableRaw(text) };
}

/** A cell of parts: what stands between is ours, the values are raw texts, numbers or cells. Null and undefined values vanish. */
export function shown(strings: TemplateStringsArray, ...values: readonly (string | number | Shown | null | undefined)[]): Shown {
  const texts = strings.map((own, index) => own + valueText(values[index]));
  return { shown: texts.join('') };
}

/** Cells as one. */
export function joined(parts: readonly (string | Shown)[], separator: string): Shown {
  return { shown: parts.map((part) => (typeof part === 'string' ? printable(part) : part.shown)).join(separator) };
}

function valueText(value: string | number | Shown | null | undefined): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'object') return value.shown;
  return typeof value === 'number' ? String(value) : printableRaw(value);
}
