/** `nsfleet ns show`. */
import type { Holder, NamespaceDetail } from '#shared/resources.ts';
import { connect } from '../connection.ts';
import { printBlock } from '../output/block.ts';
import type { Field } from '../output/block.ts';
import { printJson } from '../output/json.ts';
import { absoluteAndAgo } from '../output/times.ts';
import type { Session } from '../session.ts';
import { readTypes } from './list.ts';

export type NamespaceShowOptions = { host?: string; type?: string };

/** Prints one namespace, named by number, key or inode, with what holds it. */
export async function showNamespace(session: Session, name: string, options: NamespaceShowOptions): Promise<number> {
  const [type] = readTypes(options.type === undefined ? undefined : [options.type]);
  const namespace = await connect(session).client.call('namespaceShow', {
    params: { namespace: name },
    query: { host: options.host, type },
  });
  if (session.json) printJson(session, namespace);
  else printBlock(session, namespaceFields(namespace, session.now()));
  return 0;
}

function namespaceFields(namespace: NamespaceDetail, now: Date): Field[] {
  const { leader, sandbox } = namespace;
  return [
    ['ID', namespace.id],
    ['Type', namespace.type],
    ['Inode', namespace.inode],
    ['Key', namespace.key],
    ['Host', `${namespace.hostName} (${namespace.hostId})`],
    ['Boot', namespace.bootId],
    ['Sandbox', sandbox === null ? null : `${sandbox.name} (${sandbox.id})`],
    ['Parent', related(namespace.parent, namespace.parentId)],
    ['Owner', related(namespace.owner, namespace.ownerId)],
    ['Owner uid', namespace.ownerUid],
    ['Processes', namespace.processCount],
    ['Leader', leader === null ? null : `pid ${leader.pid}, uid ${leader.uid}, ${leader.comm}`],
    ['Command', leader?.command ?? null],
    ['First seen', absoluteAndAgo(namespace.firstSeen, now)],
    ['Last seen', absoluteAndAgo(namespace.lastSeen, now)],
    ['Current', namespace.current ? 'yes' : 'no: it has ended'],
    ['Holders', namespace.holders.map(holderText)],
  ];
}

function related(key: string | null, id: string | null): string {
  if (key === null) return '';
  return id === null ? key : `${id} (${key})`;
}

function holderText(holder: Holder): string {
  const { kind, pid, uid, comm, namespace } = holder;
  if (namespace !== null) return `${kind} ${namespace.type} namespace ${namespace.id} (${namespace.key})`;
  const parts = [`${kind} ${pid ?? '?'}`, ...(uid === null ? [] : [`uid ${uid}`]), ...(comm === null ? [] : [comm])];
  return parts.join(', ');
}
