/** `nsfleet ns show`. */
import type { NamespaceDetail } from '#shared/resources.ts';
import { connect } from '../connection.ts';
import { printBlock } from '../output/block.ts';
import type { Field } from '../output/block.ts';
import { printJson } from '../output/json.ts';
import { raw, shown } from '../output/raw.ts';
import { absoluteAndAgo } from '../output/times.ts';
import type { Session } from '../session.ts';
import { detailFields } from './details.ts';
import { holderLines } from './holders.ts';
import { nameText } from './names.ts';
import { readType } from './list.ts';

/** Which namespace is meant where a key or inode exists on several hosts or in several types. */
export type WhichOptions = { host?: string; type?: string };
export type NamespaceShowOptions = WhichOptions & { all?: boolean };

/** Prints one namespace, named by number, key or inode, with what it is like inside and what holds it. */
export async function showNamespace(session: Session, name: string, options: NamespaceShowOptions): Promise<number> {
  const namespace = await connect(session).client.call('namespaceShow', { params: { namespace: name }, query: whichQuery(options) });
  if (session.json) printJson(session, namespace);
  else printBlock(session, namespaceFields(namespace, options.all === true, session.now()));
  return 0;
}

export function whichQuery({ host, type }: WhichOptions): { host?: string; type?: ReturnType<typeof readType> } {
  return { ...(host === undefined ? {} : { host }), ...(type === undefined ? {} : { type: readType(type) }) };
}

function namespaceFields(namespace: NamespaceDetail, all: boolean, now: Date): Field[] {
  const { leader, sandbox, names, current } = namespace;
  return [
    ['ID', namespace.id],
    ['Type', namespace.type],
    ['Inode', namespace.inode],
    ['Key', namespace.key],
    ['Host', `${namespace.hostName} (${namespace.hostId})`],
    ['Boot', namespace.bootId],
    ['Names', names.map((name) => nameText(name, true))],
    ...optional('Sandbox', sandbox === null ? null : `${sandbox.name} (${sandbox.id})`),
    ...optional('Parent', related(namespace.parent, namespace.parentId)),
    ['Owner', related(namespace.owner, namespace.ownerId)],
    ...optional('Owner uid', namespace.ownerUid),
    ['Processes', namespace.processCount],
    ['Leader', leader === null ? null : shown`pid ${leader.pid}, uid ${leader.uid}, ${leader.comm}`],
    ...(leader === null ? [] : [['Command', raw(leader.command)] as const]),
    ...detailFields(namespace.details, all),
    ['First seen', absoluteAndAgo(namespace.firstSeen, now)],
    ['Last seen', absoluteAndAgo(namespace.lastSeen, now)],
    ['Current', current ? 'yes' : endText(namespace)],
    ...(current ? [['Holders', holderLines(namespace.holders, all, now)] as const] : []),
    ...(current && namespace.partial ? [['Partial', partialText(namespace)] as const] : []),
  ];
}

function optional(key: string, value: string | number | null): Field[] {
  return value === null ? [] : [[key, value]];
}

function related(key: string | null, id: string | null): string | null {
  return key === null || id === null ? key : `${id} (${key})`;
}

function endText({ endUnseen }: NamespaceDetail): string {
  return endUnseen ? 'no: it ended while nobody watched, some time after it was last seen' : 'no: it has ended';
}

function partialText({ hostName }: NamespaceDetail): string {
  return `the last scan could not see everything, so holders may be missing: \`nsfleet host show ${hostName}\` counts what, by reason`;
}
