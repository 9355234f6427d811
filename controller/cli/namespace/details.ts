/** What a namespace is like inside, for people. */
import type { NamespaceDetails } from '#shared/namespace-details.ts';
import type { Field } from '../output/block.ts';
import { joined, raw, shown } from '../output/raw.ts';
import type { Shown } from '../output/raw.ts';

type IdMap = NonNullable<NamespaceDetails['uidMap']>;

/** Lines of a map that are shown; JSON has all. */
const mapLinesMax = 16;

/** The fields of a block: those that there are, in the order of the types. */
export function detailFields(details: NamespaceDetails | null, all: boolean): Field[] {
  if (details === null) return [];
  const of = <K extends keyof NamespaceDetails>(
    key: K,
    name: string,
    text: (value: NonNullable<NamespaceDetails[K]>) => Field[1],
  ): Field[] => {
    const value = details[key];
    return value === undefined ? [] : [[name, text(value)]];
  };
  const plain = (value: string | number): Field[1] => value;
  return [
    ...of('uidMap', 'Uid map', (map) => mapLines(map, all)),
    ...of('gidMap', 'Gid map', (map) => mapLines(map, all)),
    ...of('setgroups', 'Setgroups', (value) => (value === 'deny' ? 'denied' : 'allowed')),
    ...of('hostname', 'Hostname', raw),
    ...of('domainname', 'NIS domain', raw),
    ...of('monotonicOffsetNs', 'Monotonic offset', offsetText),
    ...of('boottimeOffsetNs', 'Boottime offset', offsetText),
    ...of('links', 'Links', plain),
    ...of('addresses', 'Addresses', plain),
    ...of('routes', 'Routes', plain),
    ...of('listening', 'Listening', (count) => `${count} TCP and UDP sockets`),
    ...of('peers', 'Peers', (peers) => peers.map(({ netnsid, key }) => `netnsid ${netnsid}: ${key ?? 'not in the inventory'}`)),
    ...of('initPid', 'Init pid', plain),
    ...of('mounts', 'Mounts', plain),
    ...of('rootSource', 'Root', raw),
    ...of('rootPropagation', 'Root propagation', plain),
    ...of('cgroupRoot', 'Cgroup root', raw),
    ...of('unread', 'Not readable', (reasons) => reasons),
  ];
}

/** The same in one cell: what tells most of each type. */
export function detailsText(details: NamespaceDetails | null): Shown | null {
  if (details === null) return null;
  const {
    uidMap,
    hostname,
    monotonicOffsetNs,
    boottimeOffsetNs,
    links,
    addresses,
    routes,
    listening,
    initPid,
    mounts,
    rootSource,
    cgroupRoot,
  } = details;
  const parts: Shown[] = [];
  const add = (value: unknown, text: Shown): void => void (value === undefined || parts.push(text));
  add(uidMap, shown`uids ${mapText((uidMap ?? [])[0])}${(uidMap?.length ?? 0) > 1 ? ` and ${(uidMap?.length ?? 0) - 1} more` : ''}`);
  add(hostname, shown`hostname ${hostname}`);
  add(monotonicOffsetNs, shown`monotonic ${offsetText(monotonicOffsetNs ?? '0')}`);
  add(boottimeOffsetNs, shown`boottime ${offsetText(boottimeOffsetNs ?? '0')}`);
  add(links, counted(links, 'link'));
  add(addresses, counted(addresses, 'address', 'addresses'));
  add(routes, counted(routes, 'route'));
  add(listening, shown`${listening} listening`);
  add(initPid, shown`init ${initPid}`);
  add(mounts, counted(mounts, 'mount'));
  add(rootSource, shown`root ${rootSource}`);
  add(cgroupRoot, shown`root ${cgroupRoot}`);
  return parts.length === 0 ? null : joined(parts, ', ');
}

function counted(count: number | undefined, one: string, many = `${one}s`): Shown {
  return shown`${count} ${count === 1 ? one : many}`;
}

function mapLines(map: IdMap, all: boolean): string[] {
  if (map.length === 0) return ['not set yet'];
  const shownLines = all ? map : map.slice(0, mapLinesMax);
  const more = map.length - shownLines.length;
  return [...shownLines.map(mapText), ...(more > 0 ? [`… and ${more} more (--all)`] : [])];
}

/** `0–65535 → 1879048192–1879113727` */
function mapText(line: IdMap[number] | undefined): string {
  if (line === undefined) return 'not set yet';
  const { inside, outside, count } = line;
  const range = (from: number): string => (count === 1 ? String(from) : `${from}–${from + count - 1}`);
  return count === 2 ** 32 && inside === 0 && outside === 0 ? 'all, as they are' : `${range(inside)} → ${range(outside)}`;
}

/** Nanoseconds as seconds: `+3600 s`, `-0.5 s`. */
function offsetText(nanoseconds: string): string {
  const value = BigInt(nanoseconds);
  const size = value < 0n ? -value : value;
  const rest = String(size % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/u, '');
  return `${value < 0n ? '-' : '+'}${size / 1_000_000_000n}${rest === '' ? '' : `.${rest}`} s`;
}
