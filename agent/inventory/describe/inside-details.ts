/** What uts, net and cgroup namespaces are like inside: for these somebody has to join, see native/inside.c. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { insideRowsMax } from '#native/inside.ts';
import type { InsideLook, InsideView } from '#native/inside.ts';
import type { Native } from '#native/binding.ts';
import { errorText } from '#shared/errors.ts';
import type { NamespaceDetails } from '#shared/namespace-details.ts';
import { namespaceMapKey } from '../model.ts';
import { rawText } from '#shared/raw-text.ts';
import { cgroupRootOf } from './cgroup-root.ts';
import { openWay } from './open-way.ts';
import type { Way } from './way.ts';

/** `(none)` is what the kernel says where nobody has set one. */
const noDomain = '(none)';
/** Of one call; the rest follows in the next, so that a worker thread is not kept for long. */
const batch = 256;

type InsideType = InsideLook['type'];
export const insideTypes: readonly string[] = ['uts', 'net', 'cgroup'] satisfies InsideType[];

/**
 * Details by map key. `known` are other network namespaces that a peer may be; what cannot be opened or joined any more is in `unread`. Reading
 * stays below the descriptor limit: at most `insideRowsMax` are open at once.
 */
export async function insideDetails(
  native: Pick<Native, 'lookInside'>,
  wanted: readonly Way[],
  known: readonly Way[],
): Promise<Map<string, NamespaceDetails>> {
  const details = new Map<string, NamespaceDetails>();
  for (let from = 0; from < wanted.length; from += batch) {
    const part = wanted.slice(from, from + batch);
    const names = new Set(part.map(({ namespace }) => namespaceMapKey(namespace)));
    const others = known.filter(({ namespace }) => !names.has(namespaceMapKey(namespace))).slice(0, insideRowsMax - batch);
    await lookAt(native, part, part.some(({ namespace }) => namespace.type === 'net') ? others : [], details);
  }
  return details;
}

async function lookAt(
  native: Pick<Native, 'lookInside'>,
  wanted: readonly Way[],
  others: readonly Way[],
  details: Map<string, NamespaceDetails>,
): Promise<void> {
  const opened: { way: Way; look: InsideLook }[] = [];
  try {
    for (const way of wanted) {
      try {
        opened.push({ way, look: openLook(way, true) });
      } catch (error) {
        details.set(namespaceMapKey(way.namespace), { unread: [`inside: ${errorText(error).slice(0, 150)}`] });
      }
    }
    // One that has ended meanwhile is nobody's peer.
    for (const way of others) attempt(() => opened.push({ way, look: openLook(way, false) }));
    const views = await native.lookInside(opened.map(({ look }) => look));
    for (const [index, { way, look }] of opened.entries()) {
      const view = views[index];
      if (look.wanted && view !== undefined) details.set(namespaceMapKey(way.namespace), detailsOf(view, way, opened));
    }
  } finally {
    for (const { look } of opened) closeLook(look);
  }
}

function openLook(way: Way, wanted: boolean): InsideLook {
  const { namespace, member } = way;
  const id = namespace.key.startsWith('id:') ? namespace.key.slice(3) : null;
  const fd = openWay(way);
  const look: InsideLook = { type: namespace.type as InsideType, inode: namespace.inode, id, fd, wanted };
  if (namespace.type === 'cgroup' && member !== null) attempt(() => (look.cgroupFd = openSync(`${member}/cgroup`, 'r')));
  return look;
}

function closeLook(look: InsideLook): void {
  closeSync(look.fd);
  if (look.cgroupFd !== undefined) closeSync(look.cgroupFd);
}

function detailsOf(view: InsideView, way: Way, opened: readonly { way: Way }[]): NamespaceDetails {
  if (view.failed !== null) return { unread: [`inside: ${view.failed}`] };
  switch (view.type) {
    case 'uts': {
      const domainname = rawText(view.domainname);
      return { hostname: rawText(view.hostname), ...(domainname === noDomain ? {} : { domainname }) };
    }
    case 'cgroup': {
      const outside = attempt(() => readFileSync(`${way.member}/cgroup`));
      const cgroupRoot = outside === null ? null : cgroupRootOf(outside, view.lines);
      return cgroupRoot === null ? { unread: ['cgroup root: its first process is not below it any more'] } : { cgroupRoot };
    }
    case 'net': {
      const { links, addresses, routes, listening } = view;
      const peers = view.peers
        .map(({ netnsid, look }) => ({ netnsid, key: look === null ? null : (opened[look]?.way.namespace.key ?? null) }))
        .toSorted((a, b) => a.netnsid - b.netnsid);
      return { links, addresses, routes, listening, ...(peers.length === 0 ? {} : { peers }) };
    }
  }
}

function attempt<T>(action: () => T): T | null {
  try {
    return action();
  } catch {
    return null;
  }
}
