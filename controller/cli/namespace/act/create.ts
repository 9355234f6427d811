/** `nsfleet ns create`, `ns attach` and `ns rm`: namespaces under names. */
import { KeepRequest, KeptName } from '#shared/act.ts';
import type { Reply } from '#shared/client.ts';
import { issuesText } from '#shared/errors.ts';
import { printable } from '#shared/escape.ts';
import { connect } from '../../connection.ts';
import { usage } from '../../failure.ts';
import { printJson } from '../../output/json.ts';
import { printTable } from '../../output/table.ts';
import type { Column } from '../../output/table.ts';
import type { Session } from '../../session.ts';
import { readTypes } from '../list.ts';

export type CreateOptions = { host: string; name: string; type: string[] };
export type AttachOptions = { name: string; host?: string; type?: string };
export type RemoveOptions = { host?: string; type?: string; force?: boolean };

/** Makes namespaces of these types on a host and keeps them without a process. */
export async function createNamespaces(session: Session, { host, name, type }: CreateOptions): Promise<number> {
  const path = 'nsfleet ns create';
  const wanted = KeepRequest.safeParse({ name, types: readTypes(type) });
  if (!wanted.success) throw usage(path, issuesText(wanted.error.issues));
  const kept = await connect(session).client.call('namespaceCreate', { params: { host }, body: wanted.data });
  printKept(session, kept);
  return 0;
}

/** Keeps a namespace that is there under a name too, as `ip netns attach` does for network ones. */
export async function attachName(session: Session, namespace: string, { name, host, type }: AttachOptions): Promise<number> {
  const parsed = KeptName.safeParse(name);
  if (!parsed.success) throw usage('nsfleet ns attach', issuesText(parsed.error.issues));
  const [only] = readTypes(type === undefined ? undefined : [type]);
  const kept = await connect(session).client.call('namespaceAttach', {
    params: { namespace },
    query: { host, type: only },
    body: { name: parsed.data },
  });
  printKept(session, kept);
  return 0;
}

/** Takes the names of a kept namespace away. */
export async function removeNamespace(session: Session, namespace: string, { host, type, force }: RemoveOptions): Promise<number> {
  const [only] = readTypes(type === undefined ? undefined : [type]);
  const removed = await connect(session).client.call('namespaceRemove', {
    params: { namespace },
    query: { host, type: only, force: force === true ? 'true' : 'false' },
  });
  if (session.json) printJson(session, removed);
  else for (const path of removed.paths) session.stdout.write(`${printable(`${removed.hostName}: ${path}`)}\n`);
  return 0;
}

type Kept = Reply<'namespaceCreate'>;

function printKept(session: Session, kept: Kept): void {
  if (session.json) printJson(session, kept);
  else printTable(session, columns, kept.namespaces);
}

const columns: Column<Kept['namespaces'][number]>[] = [
  { name: 'ID', align: 'right', cell: (row) => row.namespaceId },
  { name: 'NS', align: 'right', cell: (row) => row.inode },
  { name: 'TYPE', cell: (row) => row.type },
  { name: 'PATH', cell: (row) => row.path },
];
