/** `nsfleet ns ls`. */
import type { Client, Reply } from '#shared/client.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import type { NamespaceType } from '#shared/namespace.ts';
import type { Namespace } from '#shared/resources.ts';
import { choiceOption } from '../choice.ts';
import { connect } from '../connection.ts';
import { printable } from '#shared/escape.ts';
import { usage } from '../failure.ts';
import { momentOption } from '../moments.ts';
import { printJson } from '../output/json.ts';
import { printTable, terminalWidth } from '../output/table.ts';
import { allPages } from '../pages.ts';
import type { Session } from '../session.ts';
import { chooseColumns } from './columns.ts';
import { livesIn, processesOfHosts } from './processes.ts';
import { treeColumns, treeRelations, treeRows } from './tree.ts';
import type { TreeRelation } from './tree.ts';

export type NamespaceListOptions = {
  host?: string;
  type?: string[];
  sandbox?: string;
  pid?: string;
  filter?: string;
  at?: string;
  ended?: boolean;
  live?: boolean;
  persistent?: boolean;
  tree?: string | true;
  output?: string;
  columns?: string;
  headings?: boolean;
  noheadings?: boolean;
  notruncate?: boolean;
};

/** What the options mean, all of it checked. */
type Choice = {
  types: readonly (NamespaceType | undefined)[];
  at: string | undefined;
  pid: { pid: number; host: string } | null;
  tree: TreeRelation | null;
  output: string | undefined;
};

/** Prints the namespaces that the options choose, by number; hosts that did not scan when asked are named on standard error. */
export async function listNamespaces(session: Session, options: NamespaceListOptions): Promise<number> {
  const choice = readOptions(session, options);
  const { client } = connect(session);
  const isWanted = choice.pid === null ? () => true : await livesIn(client, choice.pid.pid, choice.pid.host);
  const { namespaces: found, stale } = await fetchNamespaces(client, options, choice);
  const namespaces = found.filter((row) => isWanted(row) && (options.persistent !== true || row.processCount === 0));
  const { tree } = choice;
  const drawn =
    tree === null ? null : treeRows(namespaces, tree, tree === 'process' ? await processesOfHosts(client, namespaces) : undefined);
  if (session.json) {
    const rows = drawn === null ? namespaces : drawn.map(({ row, above }) => ({ ...row, treeParent: above }));
    printJson(session, { namespaces: rows, stale });
    return 0;
  }
  const table = { headings: (options.headings ?? true) && options.noheadings !== true, cut: options.notruncate !== true };
  const columns = chooseColumns(namespaces, choice.output, session.now(), {
    tree: drawn !== null,
    at: choice.at !== undefined,
    width: table.cut ? terminalWidth(session) : undefined,
  });
  if (drawn === null) printTable(session, columns, namespaces, table);
  else printTable(session, treeColumns(columns), drawn, table);
  for (const host of stale) session.stderr.write(`warning: ${printable(host)} did not answer: its last known namespaces are shown\n`);
  return 0;
}

const path = 'nsfleet ns ls';

/** Throws USAGE for what is wrong, before anything is asked. */
function readOptions(session: Session, options: NamespaceListOptions): Choice {
  const now = session.now();
  const { tree, columns, output = columns } = options;
  chooseColumns([], output, now);
  const at = options.at === undefined ? undefined : momentOption('--at', options.at, now);
  const relation = tree === undefined ? null : choiceOption('--tree', tree === true ? 'owner' : tree, treeRelations);
  const pid = options.pid === undefined ? null : readPid(options.pid, options.host);
  if (at !== undefined) {
    const conflict = {
      '--live': options.live === true,
      '--ended': options.ended === true,
      '--pid': pid !== null,
      '--tree process': relation === 'process',
    };
    const [name] = Object.entries(conflict).find(([, given]) => given) ?? [];
    if (name !== undefined) throw usage(path, `--at and ${name} exclude each other: ${whyNot(name)}`);
  }
  if (pid !== null && options.ended === true)
    throw usage(path, '--pid and --ended exclude each other: processes are known as they are now');
  return { types: readTypes(options.type), at, pid, tree: relation, output };
}

function whyNot(name: string): string {
  if (name === '--live') return 'hosts can scan what is, not what was';
  return name === '--ended' ? 'what was there then is shown, ended since or not' : 'processes are known as they are now';
}

function readPid(text: string, host: string | undefined): { pid: number; host: string } {
  if (host === undefined) throw usage(path, '--pid needs --host: each host has its own pids');
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw usage(path, `--pid ${text}: it is no pid`);
  return { pid: Number(text), host };
}

async function fetchNamespaces(
  client: Client,
  options: NamespaceListOptions,
  { types, at }: Choice,
): Promise<{ namespaces: Namespace[]; stale: string[] }> {
  const stale = new Set<string>();
  const namespaces: Namespace[] = [];
  const { host, sandbox, filter } = options;
  // The hosts scan once, for the first page of the first type.
  let live = options.live === true;
  for (const type of types) {
    const items = await allPages(async (cursor) => {
      const page: Reply<'namespaceList'> = await client.call('namespaceList', {
        query: { cursor, type, host, sandbox, filter, at, ended: flag(options.ended), live: flag(live) },
      });
      live = false;
      for (const name of page.stale) stale.add(name);
      return { items: page.namespaces, nextCursor: page.nextCursor };
    });
    namespaces.push(...items);
  }
  if (types.length > 1) namespaces.sort((a, b) => (BigInt(a.id) < BigInt(b.id) ? -1 : 1));
  return { namespaces, stale: [...stale] };
}

/** `--type net,pid --type mnt` as types; one `undefined` where none was given. Throws USAGE. */
export function readTypes(given: readonly string[] | undefined): (NamespaceType | undefined)[] {
  if (given === undefined) return [undefined];
  const texts = given.flatMap((text) => text.split(',').map((word) => word.trim()));
  return [...new Set(texts)].map(readType);
}

/** One type. Throws USAGE. */
export function readType(text: string): NamespaceType {
  return choiceOption('--type', text, namespaceTypes);
}

function flag(value: boolean | undefined): 'true' | 'false' {
  return value === true ? 'true' : 'false';
}
