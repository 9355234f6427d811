/** Tables as lsns and docker print them: columns are data, a row is an object, everything is escaped. */
import type { Session } from '../session.ts';
import { paint } from './color.ts';
import type { Paint } from './color.ts';
import { printable } from '#shared/escape.ts';
import type { Shown } from './raw.ts';
import { cutToWidth, displayWidth } from './width.ts';

export type Column<Row> = {
  /** heading, and its name for `--output` */
  name: string;
  /** the cell; empty text is shown as `-` */
  cell: (row: Row) => string | number | Shown | null;
  /** numbers stand right, so that their digits align */
  align?: 'right';
  /** at least so wide: for rows that come one by one */
  minWidth?: number;
  paint?: (row: Row) => Paint | null;
};

export type TableOptions = {
  headings?: boolean;
  /** cut lines to this many columns; undefined: never */
  width?: number | undefined;
  color?: boolean;
};

const gap = ' ';

/** The lines of a table. The last column is not padded, so that no line ends in blanks. */
export function tableLines<Row>(columns: readonly Column<Row>[], rows: readonly Row[], options: TableOptions = {}): string[] {
  const cells = rows.map((row) => columns.map((column) => cellText(column.cell(row))));
  const withHeadings = options.headings ?? true;
  const widths = columns.map((column, index) =>
    cells.reduce(
      (widest, row) => Math.max(widest, displayWidth(row[index] ?? '')),
      Math.max(column.minWidth ?? 0, withHeadings ? column.name.length : 0),
    ),
  );
  const line = (texts: readonly string[], row: Row | null): string => {
    let left = options.width ?? Number.POSITIVE_INFINITY;
    let out = '';
    for (const [index, column] of columns.entries()) {
      const padded = pad(texts[index] ?? '', widths[index] ?? 0, column.align, index === columns.length - 1);
      const text = cutToWidth(index === 0 ? padded : gap + padded, left);
      left -= displayWidth(text);
      const style = row === null || options.color !== true ? null : (column.paint?.(row) ?? null);
      out += style === null ? text : paint(style, text);
    }
    return out.trimEnd();
  };
  const body = cells.map((texts, index) => line(texts, rows[index] ?? null));
  const headings = line(
    columns.map((column) => column.name),
    null,
  );
  return withHeadings ? [headings, ...body] : body;
}

/** Prints a table to standard output: `cut` to the terminal's width and coloured only where there is a terminal. */
export function printTable<Row>(
  session: Pick<Session, 'stdout' | 'color'>,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  { headings = true, cut = true }: { headings?: boolean; cut?: boolean } = {},
): void {
  const { stdout, color } = session;
  const width = cut ? terminalWidth(session) : undefined;
  const lines = tableLines(columns, rows, { headings, color, width });
  if (lines.length > 0) stdout.write(`${lines.join('\n')}\n`);
}

/** Undefined where there is no terminal, or one that does not know its width: it says 0. */
export function terminalWidth({ stdout }: Pick<Session, 'stdout'>): number | undefined {
  return stdout.isTTY === true ? stdout.columns || undefined : undefined;
}

function cellText(value: string | number | Shown | null): string {
  if (typeof value === 'object' && value !== null) return value.shown;
  return value === null || value === '' ? '-' : printable(String(value));
}

function pad(text: string, width: number, align: 'right' | undefined, last: boolean): string {
  const blanks = ' '.repeat(Math.max(0, width - displayWidth(text)));
  if (align === 'right') return blanks + text;
  return last ? text : text + blanks;
}
