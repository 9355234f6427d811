/** Which columns of a table are printed: the usual ones, or what --output says. */
import { NsfleetError } from '#shared/errors.ts';
import type { Column } from './table.ts';

/**
 * `output` is a list of names in any case, `_` or `-` between words; with a leading + it adds to the usual ones, before `last`, which is the
 * long one. `aliases`: other names of columns. Throws USAGE for a name that there is not.
 */
export function pickColumns<Row>(
  all: readonly Column<Row>[],
  usual: readonly string[],
  output: string | undefined,
  { last, aliases = {} }: { last?: string; aliases?: Readonly<Record<string, string>> } = {},
): Column<Row>[] {
  const named = (name: string): Column<Row> => {
    const asked = name.trim().toUpperCase().replaceAll('_', '-');
    const found = all.find((column) => column.name === (aliases[asked] ?? asked));
    if (found !== undefined) return found;
    throw new NsfleetError('USAGE', {
      attempted: 'print column',
      target: name,
      reason: 'there is no such column',
      remedy: `choose from ${all.map((column) => column.name).join(',')}`,
    });
  };
  if (output === undefined) return usual.map(named);
  const added = output.startsWith('+');
  const asked = (added ? output.slice(1) : output).split(',').map(named);
  if (!added) return asked;
  const names = new Set(asked.map(({ name }) => name));
  const kept = usual.filter((name) => !names.has(name));
  return [...kept.filter((name) => name !== last).map(named), ...asked, ...kept.filter((name) => name === last).map(named)];
}
