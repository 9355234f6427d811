/** `nsfleet ns leaks`. */
import { LeakRule } from '#shared/resources.ts';
import type { Leak } from '#shared/resources.ts';
import { choiceOption } from '../choice.ts';
import { connect } from '../connection.ts';
import { printJson } from '../output/json.ts';
import { raw, shown } from '../output/raw.ts';
import { tableLines, terminalWidth } from '../output/table.ts';
import type { Column } from '../output/table.ts';
import { durationText, elapsedMs } from '../output/times.ts';
import { allPages } from '../pages.ts';
import type { Session } from '../session.ts';

export type LeakOptions = { rule?: string; host?: string; all?: boolean; filter?: string };

/** Prints what leaks or drifts, newest first, and below each why, and who pins it. */
export async function listLeaks(session: Session, options: LeakOptions): Promise<number> {
  const { host, filter } = options;
  const rule = options.rule === undefined ? undefined : choiceOption('--rule', options.rule, LeakRule.options);
  const all = options.all === true ? 'true' : 'false';
  const { client } = connect(session);
  const leaks = await allPages(async (cursor) => {
    const page = await client.call('leakList', { query: { cursor, host, rule, filter, all } });
    return { items: page.leaks, nextCursor: page.nextCursor };
  });
  if (session.json) printJson(session, { leaks });
  else print(session, leaks);
  return 0;
}

function print(session: Session, leaks: readonly Leak[]): void {
  const [headings, ...rows] = tableLines(columns(leaks, session.now()), leaks, { color: session.color, width: terminalWidth(session) });
  // Sentences on lines of their own: at 80 columns a cell would hold half of one.
  const lines = rows.flatMap((row, index) => {
    const { reason = '', pins = [] } = leaks[index] ?? {};
    return [row, shown`    ${raw(reason)}`.shown, ...pins.map((pin) => shown`      ${raw(pin)}`.shown)];
  });
  session.stdout.write(`${[headings, ...lines].join('\n')}\n`);
}

function columns(leaks: readonly Leak[], now: Date): Column<Leak>[] {
  return [
    { name: 'FOR', cell: ({ since, clearedAt }) => durationText(elapsedMs(since, clearedAt, now)) },
    { name: 'RULE', cell: ({ rule }) => rule },
    { name: 'HOST', cell: ({ hostName }) => hostName },
    { name: 'ID', align: 'right', cell: ({ namespace }) => namespace?.id ?? null },
    { name: 'TYPE', cell: ({ namespace }) => namespace?.type ?? null },
    { name: 'NS', align: 'right', cell: ({ namespace }) => namespace?.inode ?? null },
    ...(leaks.some(({ clearedAt }) => clearedAt !== null) ? [{ name: 'CLEARED', cell: ({ clearedAt }: Leak) => clearedAt ?? 'no' }] : []),
  ];
}
