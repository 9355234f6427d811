/** What namespaces are like inside; see nsf_inside in nsfleet.h. */
import { namespaceTypes } from '#shared/namespace.ts';
import type { Calls } from './calls.ts';
import { nsfInside } from './layout.ts';
import { check, errnoName, errorBuffer } from './native-error.ts';

/** NSF_INSIDE_ROWS of nsfleet.h. */
export const insideRowsMax = 1024;

export type InsideLook = {
  type: 'uts' | 'net' | 'cgroup';
  inode: number;
  /** NS_GET_ID, decimal; null: not compared. */
  id: string | null;
  /** Open on the namespace; stays the caller's. */
  fd: number;
  /** cgroup: open on /proc/<pid>/cgroup of a member. */
  cgroupFd?: number | undefined;
  /** False: not to be looked into, only to be recognized as somebody's peer. */
  wanted: boolean;
};

export type InsideView =
  | { failed: string }
  | { failed: null; type: 'uts'; hostname: Uint8Array; domainname: Uint8Array }
  | { failed: null; type: 'cgroup'; lines: Uint8Array }
  | {
      failed: null;
      type: 'net';
      links: number;
      addresses: number;
      routes: number;
      listening: number;
      /** `look`: index of the one among those that were asked; null: none of them. */
      peers: { netnsid: number; look: number | null }[];
    };

const peerBytes = 8;

/** The answers in the order of the questions. */
export async function lookInside(calls: Calls, looks: readonly InsideLook[]): Promise<InsideView[]> {
  if (looks.length === 0) return [];
  const bytes = new Uint8Array(looks.length * nsfInside.whole);
  const view = new DataView(bytes.buffer);
  looks.forEach((look, index) => {
    const at = index * nsfInside.whole;
    view.setBigUint64(at + nsfInside.id[0], BigInt(look.id ?? 0), true);
    view.setBigUint64(at + nsfInside.inode[0], BigInt(look.inode), true);
    view.setInt32(at + nsfInside.type[0], namespaceTypes.indexOf(look.type), true);
    view.setInt32(at + nsfInside.fd[0], look.fd, true);
    view.setInt32(at + nsfInside.cgroup_fd[0], look.cgroupFd ?? -1, true);
    view.setInt32(at + nsfInside.wanted[0], look.wanted ? 1 : 0, true);
  });
  const error = errorBuffer();
  check(await calls.inside(bytes, looks.length, error), error, 'look into', `${looks.length} namespaces`);
  return looks.map((look, index) => decode(bytes, view, index * nsfInside.whole, look.type));
}

function decode(bytes: Uint8Array, view: DataView, at: number, type: InsideLook['type']): InsideView {
  const result = view.getInt32(at + nsfInside.result[0], true);
  if (result < 0) return { failed: `${terminated(bytes, at, nsfInside.step, 'latin1')}: ${errnoName(-result)}` };
  const count = (field: readonly [number, number]): number => view.getUint32(at + field[0], true);
  if (type === 'uts')
    return { failed: null, type, hostname: text(bytes, at, nsfInside.hostname), domainname: text(bytes, at, nsfInside.domainname) };
  if (type === 'cgroup') {
    const start = at + nsfInside.cgroup[0];
    return { failed: null, type, lines: bytes.slice(start, start + count(nsfInside.cgroup_bytes)) };
  }
  const peers = Array.from({ length: count(nsfInside.peer_count) }, (_, index) => {
    const peer = at + nsfInside.peers[0] + index * peerBytes;
    const look = view.getInt32(peer + 4, true);
    return { netnsid: view.getInt32(peer, true), look: look < 0 ? null : look };
  });
  const { links, addresses, routes, listening } = nsfInside;
  return {
    failed: null,
    type,
    links: count(links),
    addresses: count(addresses),
    routes: count(routes),
    listening: count(listening),
    peers,
  };
}

/** The bytes before the NUL, copied. */
function text(bytes: Uint8Array, at: number, [offset, length]: readonly [number, number]): Uint8Array {
  const field = bytes.slice(at + offset, at + offset + length);
  const end = field.indexOf(0);
  return end < 0 ? field : field.subarray(0, end);
}

function terminated(bytes: Uint8Array, at: number, field: readonly [number, number], encoding: 'latin1'): string {
  return Buffer.from(text(bytes, at, field)).toString(encoding);
}
