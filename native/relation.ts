import { namespaceTypes } from '#shared/namespace.ts';
import type { NamespaceType } from '#shared/namespace.ts';
import type { Calls } from './calls.ts';
import { nsfRelation } from './layout.ts';
import { check, errorBuffer } from './native-error.ts';
import { decodeId } from './rows.ts';
import type { NamespaceIdentity, NamespaceRelation, RelateTarget } from './types.ts';

/** Asks the kernel about one namespace; see `Native.relate`. */
export function relate(calls: Calls, target: RelateTarget): NamespaceRelation {
  const error = errorBuffer();
  const out = new Uint8Array(nsfRelation.whole);
  const path = pathOf(target);
  const result = calls.relate('fd' in target ? target.fd.number : -1, path, out, error);
  check(result, error, 'read namespace', path ?? 'of a descriptor');
  return decode(new DataView(out.buffer));
}

/** See `Native.processNamespaces`. */
export function processNamespaces(calls: Calls, pid: number): ({ type: NamespaceType } & NamespaceIdentity)[] {
  const error = errorBuffer();
  const out = new BigUint64Array(2 * namespaceTypes.length);
  check(calls.processNamespaces(pid, out, error), error, 'read namespaces of process', String(pid));
  return namespaceTypes.map((type, index) => {
    const id = out[2 * index] ?? 0n;
    return { type, inode: Number(out[2 * index + 1]), id: id === 0n ? null : id.toString() };
  });
}

function pathOf(target: RelateTarget): string | null {
  if ('fd' in target) return null;
  return 'path' in target ? target.path : `/proc/${target.pid}/ns/${target.type}`;
}

function decode(view: DataView): NamespaceRelation {
  const type = namespaceTypes[view.getInt32(nsfRelation.type[0], true)];
  if (type === undefined) throw new RangeError('the kernel named a namespace type that is unknown here');
  const ownerUid = Number(view.getBigInt64(nsfRelation.owner_uid[0], true));
  return {
    type,
    inode: Number(view.getBigUint64(nsfRelation.inode[0], true)),
    id: decodeId(view, nsfRelation.id[0]),
    dev: Number(view.getBigUint64(nsfRelation.dev[0], true)),
    parent: decodeOther(view, nsfRelation.parent_inode[0], nsfRelation.parent_id[0]),
    owner: decodeOther(view, nsfRelation.owner_inode[0], nsfRelation.owner_id[0]),
    ownerUid: ownerUid < 0 ? null : ownerUid,
  };
}

function decodeOther(view: DataView, inodeAt: number, idAt: number): NamespaceIdentity | null {
  const inode = Number(view.getBigUint64(inodeAt, true));
  return inode === 0 ? null : { inode, id: decodeId(view, idAt) };
}

/** See `Native.isAlive`. */
export function isAlive(calls: Calls, { type, inode, id }: { type: NamespaceType; inode: number; id: string }): boolean | null {
  const result = calls.alive(BigInt(id), namespaceTypes.indexOf(type), inode, errorBuffer());
  return result < 0 ? null : result === 1;
}
