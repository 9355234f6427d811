/** A namespace by the name that the inventory has for it, open. */
import type { Native } from '#native/binding.ts';
import { Fd } from '#native/handles.ts';
import type { NamedNamespace } from '#shared/act.ts';
import { NsfleetError, asNsfleetError } from '#shared/errors.ts';
import type { NamespaceKey } from '#shared/namespace.ts';
import { openWay } from '../inventory/describe/open-way.ts';
import { waysOf } from '../inventory/describe/way.ts';
import type { Model } from '../inventory/model.ts';

/** For messages. */
export const wordOf = ({ type, key }: NamedNamespace): string => `${type} namespace ${key}`;

/** The kernel's id in a key; null where the key has none. */
export function idOf(key: NamespaceKey): string | null {
  return key.startsWith('id:') ? key.slice(3) : null;
}

/** Open on the namespace that was named, and on no other: an id that has passed on is refused. */
export function openNamespace(native: Pick<Native, 'relate'>, model: Model, named: NamedNamespace, proc = '/proc'): Fd {
  const target = wordOf(named);
  const gone = (reason: string) => new NsfleetError('NAMESPACE_NOT_FOUND', { attempted: 'open', target, reason });
  const namespace = model.namespaces.get(`${named.type} ${named.key}`);
  if (namespace === undefined) throw gone('this host has no such namespace, or not any more');
  const way = waysOf(model, proc, native.relate({ path: '/proc/self/ns/mnt' }).inode)(namespace);
  if (way === null) throw gone('nothing that this host can open leads to it');
  let fd: Fd;
  try {
    fd = new Fd(openWay(way));
  } catch (error) {
    throw gone(asNsfleetError(error, 'open', target).reason);
  }
  try {
    const seen = native.relate({ fd });
    const id = idOf(named.key);
    if (seen.type === named.type && seen.inode === namespace.inode && (id === null || seen.id === id)) return fd;
    throw gone('another namespace stands in its place by now');
  } catch (error) {
    fd.close();
    throw asNsfleetError(error, 'open', target);
  }
}
