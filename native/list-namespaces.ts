import type { Calls } from './calls.ts';
import { check, errorBuffer } from './native-error.ts';

const ENOSPC = 28;
/** Without the call, or refused by a seccomp filter or for want of privilege: the other sources have to do. */
const lacking = new Set([-1, -13, -22, -38]);
const firstIds = 4096;
const idsMax = 2 ** 22;

/** See `Native.listNamespaces`. */
export function listNamespaces(calls: Pick<Calls, 'listns'>): string[] | null {
  const error = errorBuffer();
  for (let room = firstIds; ; room *= 4) {
    const ids = new BigUint64Array(room);
    const count = new Uint32Array(1);
    const result = calls.listns(ids, room, count, error);
    if (lacking.has(result)) return null;
    if (result === -ENOSPC && room < idsMax) continue;
    check(result, error, 'list namespaces', 'listns(2)');
    return Array.from(ids.subarray(0, count[0]), String);
  }
}
