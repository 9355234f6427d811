/** `nsfleet sandbox ls`. */
import { NsfleetError, issuesText } from '#shared/errors.ts';
import { LabelKey } from '#shared/host.ts';
import type { Sandbox } from '#shared/resources.ts';
import { isEnded, sandboxStates } from '#shared/sandbox.ts';
import { choiceOption } from '../choice.ts';
import { connect } from '../connection.ts';
import { commandText, labelsText } from '../output/block.ts';
import { stateColor } from '../output/color.ts';
import { printJson } from '../output/json.ts';
import { printTable } from '../output/table.ts';
import type { Column } from '../output/table.ts';
import { ago } from '../output/times.ts';
import { cutToWidth } from '../output/width.ts';
import { allPages } from '../pages.ts';
import type { Session } from '../session.ts';
import { statusText } from './status.ts';

export type SandboxListOptions = { all?: boolean; host?: string; label?: string[]; state?: string; filter?: string; quiet?: boolean };

/** As docker cuts it: the rest is in `sandbox show` and in JSON. */
const commandColumns = 30;
const idDigits = 12;

/** Prints sandboxes, newest first. */
export async function listSandboxes(session: Session, options: SandboxListOptions): Promise<number> {
  const state = options.state === undefined ? undefined : choiceOption('--state', options.state, sandboxStates);
  const all = options.all === true || (state !== undefined && isEnded(state));
  const [label, ...moreLabels] = (options.label ?? []).map(readLabel);
  const { client } = connect(session);
  const found = await allPages(async (cursor) => {
    const { host, filter } = options;
    const page = await client.call('sandboxList', { query: { cursor, state, label, host, filter, all: all ? 'true' : 'false' } });
    return { items: page.sandboxes, nextCursor: page.nextCursor };
  });
  // The API filters by one label; all that are given must hold. Removed ones are history: only who asks for them sees them.
  const sandboxes = found.filter(
    (sandbox) => (sandbox.state !== 'removed' || state === 'removed') && moreLabels.every((wanted) => hasLabel(sandbox, wanted)),
  );
  if (session.json) printJson(session, { sandboxes });
  else if (options.quiet === true) session.stdout.write(sandboxes.map((sandbox) => `${sandbox.id}\n`).join(''));
  else printTable(session, sandboxColumns(sandboxes, session.now()), sandboxes);
  return 0;
}

function sandboxColumns(all: readonly Sandbox[], now: Date): Column<Sandbox>[] {
  const short = shortIds(all.map((sandbox) => sandbox.id));
  return [
    { name: 'ID', cell: (sandbox) => short.get(sandbox.id) ?? sandbox.id },
    { name: 'NAME', cell: (sandbox) => sandbox.name },
    { name: 'HOST', cell: (sandbox) => sandbox.hostName },
    { name: 'COMMAND', cell: (sandbox) => cutToWidth(commandText(sandbox.spec.command), commandColumns) },
    { name: 'CREATED', cell: (sandbox) => ago(sandbox.createdAt, now) },
    { name: 'STATUS', cell: (sandbox) => statusText(sandbox, now), paint: (sandbox) => stateColor(sandbox.state) },
    { name: 'LABELS', cell: (sandbox) => labelsText(sandbox.labels) },
  ];
}

/** Each id cut to 12 characters, or to as many more as make it the only one in the list that begins so. */
export function shortIds(ids: readonly string[]): Map<string, string> {
  return new Map(
    ids.map((id) => {
      let length = idDigits;
      while (length < id.length && ids.some((other) => other !== id && other.startsWith(id.slice(0, length)))) length += 1;
      return [id, id.slice(0, length)];
    }),
  );
}

function hasLabel(sandbox: Sandbox, wanted: string): boolean {
  const at = wanted.indexOf('=');
  return at === -1 ? Object.hasOwn(sandbox.labels, wanted) : sandbox.labels[wanted.slice(0, at)] === wanted.slice(at + 1);
}

/** `key` or `key=value`. Throws USAGE for what no sandbox can be labelled with. */
function readLabel(text: string): string {
  const parsed = LabelKey.safeParse(text.split('=', 1)[0]);
  if (parsed.success) return text;
  throw new NsfleetError('USAGE', { attempted: 'list sandboxes with label', target: text, reason: issuesText(parsed.error.issues) });
}
