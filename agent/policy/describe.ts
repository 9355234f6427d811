/** A policy as sentences: what `nsfleet-agent policy check` prints. Pure. */
import { idRangeSize } from '#shared/host.ts';
import type { Policy } from './model.ts';

const list = (words: Iterable<string>): string => [...words].join(', ') || 'none';

export function describePolicy(policy: Policy): string {
  const { roots, joins, idPool } = policy;
  const rows: readonly (readonly [string, string])[] = [
    ['policy', policy.file ?? 'no file: the defaults'],
    ['actions', list(policy.actions)],
    ['sandboxes', `at most ${policy.sandboxes}`],
    ['id pool', `${idPool.count} ranges of ${idRangeSize}, from ${idPool.start}`],
    ['id maps', list(policy.idMaps.map(({ start, count }) => `${start} to ${start + count - 1}`))],
    [
      'roots',
      list([...(roots.host ? ['the host’s /usr'] : []), ...(roots.directories ?? ['any directory outside of the host’s own parts'])]),
    ],
    [
      'binds',
      list(policy.binds.map(({ path, writable, rslave }) => `${path} (${writable ? 'writable' : 'read-only'}${rslave ? ', rslave' : ''})`)),
    ],
    ['host namespaces', list(policy.hostNamespaces)],
    ['joins of sandboxes', list(joins.sandbox)],
    ['joins of others', list(joins.other)],
    ['capabilities', list(policy.capabilities)],
    ['without seccomp', policy.seccompNone ? 'allowed' : 'refused'],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('');
}
