/** What the files of a member in /proc tell of its namespaces, without joining them. */
import { readFileSync } from 'node:fs';
import { NsfleetError } from '#shared/errors.ts';
import type { NamespaceDetails } from '#shared/namespace-details.ts';
import { parseMountinfo, propagationText } from '../mount-table.ts';
import { parseIdMap, parseNsPids, parseTimeOffsets } from './proc-text.ts';

/** A process to read from, while it is still the one that was scanned. */
export type Member = { pid: number; path: string };

/** user_namespaces(7). `unread` names what failed; the fields that could be read are there all the same. */
export function userDetails({ path }: Member): NamespaceDetails {
  const uidMap = attempt(() => parseIdMap(text(`${path}/uid_map`)));
  const gidMap = attempt(() => parseIdMap(text(`${path}/gid_map`)));
  const setgroups = attempt(() => (text(`${path}/setgroups`).trim() === 'deny' ? 'deny' : 'allow'));
  return collect({ uidMap, gidMap, setgroups });
}

/** time_namespaces(7): the file tells of the namespace that the member's children get, so members that are between two tell nothing. */
export function timeDetails({ path }: Member, childrenDiffer: boolean): NamespaceDetails {
  if (childrenDiffer) return { unread: ['offsets: its first process has unshared the time namespace'] };
  const offsets = attempt(() => parseTimeOffsets(text(`${path}/timens_offsets`)));
  if ('failed' in offsets) return collect({ monotonicOffsetNs: offsets });
  return { monotonicOffsetNs: offsets.value.monotonic, boottimeOffsetNs: offsets.value.boottime };
}

/** Members looked at for the one that is pid 1 inside: it has the lowest pid unless pids have wrapped around since. */
const membersMax = 64;

export function pidDetails(members: Iterable<Member>): NamespaceDetails {
  let looked = 0;
  for (const { pid, path } of members) {
    if (looked++ >= membersMax) break;
    const pids = attempt(() => parseNsPids(text(`${path}/status`)));
    if (!('failed' in pids) && pids.value.at(-1) === 1) return { initPid: pid };
  }
  return { unread: ['init: not among its processes that could be looked at'] };
}

export function mountDetails({ path }: Member): NamespaceDetails {
  const table = attempt(() => parseMountinfo(readFileSync(`${path}/mountinfo`)));
  if ('failed' in table) return collect({ mounts: table });
  // Of several on one path the last is the one on top.
  const root = table.value.findLast(({ target }) => target === '/');
  return {
    mounts: table.value.length,
    ...(root === undefined ? {} : { rootSource: root.source, rootPropagation: propagationText(root.propagation) }),
  };
}

type Attempt<T> = { value: T } | { failed: string };

function attempt<T>(read: () => T): Attempt<T> {
  try {
    return { value: read() };
  } catch (error) {
    return { failed: reasonOf(error) };
  }
}

/** The fields that could be read, and the names of those that could not. */
function collect(fields: Record<string, Attempt<unknown>>): NamespaceDetails {
  const read: Record<string, unknown> = {};
  const unread: string[] = [];
  for (const [name, field] of Object.entries(fields)) {
    if ('failed' in field) unread.push(`${name}: ${field.failed}`);
    else read[name] = field.value;
  }
  return unread.length === 0 ? read : { ...read, unread };
}

function reasonOf(error: unknown): string {
  if (error instanceof NsfleetError) return error.reason.slice(0, 150);
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return 'unreadable';
}

const text = (path: string): string => readFileSync(path, 'latin1');
