/** `show` prints one thing as `Key: value` lines, aligned, with deeper lines for lists. */
import type { Session } from '../session.ts';
import { printable } from '#shared/escape.ts';
import type { Shown } from './raw.ts';

/** A value: text, a list that gets a line each, or nothing (shown as `-`). */
export type Field = readonly [key: string, value: string | number | Shown | readonly (string | Shown)[] | null];

/** The lines of a block. Values are escaped: they may come from a hostile process. */
export function blockLines(fields: readonly Field[]): string[] {
  const width = Math.max(0, ...fields.map(([key]) => key.length)) + 2;
  return fields.flatMap(([key, value]) => {
    const values = (Array.isArray(value) ? value : [value]) as readonly (string | number | Shown | null)[];
    const texts = values.length === 0 ? ['-'] : values.map(valueText);
    return texts.map((text, index) => (index === 0 ? `${key}:`.padEnd(width) : ' '.repeat(width)) + text);
  });
}

function valueText(value: string | number | Shown | null): string {
  if (typeof value === 'object' && value !== null) return value.shown;
  return value === null || value === '' ? '-' : printable(String(value));
}

/** Prints a block to standard output. */
export function printBlock(session: Session, fields: readonly Field[]): void {
  session.stdout.write(`${blockLines(fields).join('\n')}\n`);
}

/** `{a: '1', b: ''}` as `a=1, b`. */
export function labelsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => (value === '' ? key : `${key}=${value}`))
    .join(',');
}

/** An argv as a shell would take it, so that it can be read back: words with blanks or quotes are quoted. */
export function commandText(argv: readonly string[]): string {
  return argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ');
}
