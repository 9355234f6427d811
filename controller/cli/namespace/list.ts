/** `nsfleet ns ls`. */
import type { Client, Reply } from '#shared/client.ts';
import { NsfleetError } from '#shared/errors.ts';
import { NamespaceType, namespaceTypes } from '#shared/namespace.ts';
import type { Namespace } from '#shared/resources.ts';
import { connect } from '../connection.ts';
import { printable } from '#shared/escape.ts';
import { printJson } from '../output/json.ts';
import { printTable } from '../output/table.ts';
import { allPages } from '../pages.ts';
import type { Session } from '../session.ts';
import { chooseColumns } from './columns.ts';

export type NamespaceListOptions = {
  host?: string;
  type?: string[];
  sandbox?: string;
  ended?: boolean;
  fresh?: boolean;
  output?: string;
  headings?: boolean;
  noheadings?: boolean;
};

/** Prints the namespaces that the options choose, by number; hosts that did not scan when asked are named on standard error. */
export async function listNamespaces(session: Session, options: NamespaceListOptions): Promise<number> {
  const types = readTypes(options.type);
  // A column that does not exist is told before anything is asked.
  chooseColumns([], options.output, session.now());
  const { client } = connect(session);
  const { namespaces, stale } = await fetchNamespaces(client, options, types);
  if (session.json) {
    printJson(session, { namespaces, stale });
    return 0;
  }
  const headings = (options.headings ?? true) && options.noheadings !== true;
  printTable(session, chooseColumns(namespaces, options.output, session.now()), namespaces, headings);
  for (const host of stale) session.stderr.write(`warning: ${printable(host)} did not answer: its last known namespaces are shown\n`);
  return 0;
}

async function fetchNamespaces(
  client: Client,
  options: NamespaceListOptions,
  types: readonly (NamespaceType | undefined)[],
): Promise<{ namespaces: Namespace[]; stale: string[] }> {
  const stale = new Set<string>();
  const namespaces: Namespace[] = [];
  // The hosts scan once, for the first page of the first type.
  let fresh = options.fresh === true;
  for (const type of types) {
    const items = await allPages(async (cursor) => {
      const page: Reply<'namespaceList'> = await client.call('namespaceList', {
        query: { cursor, type, host: options.host, sandbox: options.sandbox, ended: flag(options.ended), live: flag(fresh) },
      });
      fresh = false;
      for (const host of page.stale) stale.add(host);
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
  return [...new Set(texts)].map((text) => {
    const parsed = NamespaceType.safeParse(text);
    if (parsed.success) return parsed.data;
    throw new NsfleetError('USAGE', {
      attempted: 'list namespaces of type',
      target: text,
      reason: 'there is no such type',
      remedy: `choose from ${namespaceTypes.join(', ')}`,
    });
  });
}

function flag(value: boolean | undefined): 'true' | 'false' {
  return value === true ? 'true' : 'false';
}
