/** The rules: a picture of a host → what leaks or drifts there. Pure; one function a rule, in one table. */
import { namespaceTypes } from '#shared/namespace.ts';
import type { LeakRule } from '#shared/resources.ts';
import { holderText } from '../why.ts';
import type { Finding, HostPicture, PicturedNamespace, PicturedProcess, PicturedReference } from './picture.ts';
import { matches } from './settings.ts';
import type { LeakSettings } from './settings.ts';

/** Pins of one finding that are told; of the others the number. */
const pinsMax = 20;
const minuteMs = 60_000;
const netAt = namespaceTypes.indexOf('net');
const mntAt = namespaceTypes.indexOf('mnt');
const userAt = namespaceTypes.indexOf('user');
const pidAt = namespaceTypes.indexOf('pid');

const rules: Record<LeakRule, (picture: HostPicture, settings: LeakSettings) => Finding[]> = {
  'net-without-process': netWithoutProcess,
  'sandbox-gone': sandboxGone,
  'user-growth': userGrowth,
  'host-net-foreign-mnt': hostNetForeignMnt,
  'unexpected-owner': unexpectedOwner,
};

/** All that is wrong on a host; at most one finding for a rule, namespace and subject. */
export function findLeaks(picture: HostPicture, settings: LeakSettings): Finding[] {
  return Object.entries(rules).flatMap(([name, rule]) => (settings[name as LeakRule].enabled ? rule(picture, settings) : []));
}

function netWithoutProcess(picture: HostPicture, { 'net-without-process': settings }: LeakSettings): Finding[] {
  const { minutes, keptPaths, enginePaths, keepers, keeperCgroups } = settings;
  const isHostsRoot = hostsRootIn(picture);
  const byPid = new Map(picture.processes.map((process) => [process.pid, process]));
  const onPurpose = ({ kind, path, comm, cgroup, pid }: PicturedReference) => {
    if (kind === 'mount') return path !== null && matches(keptPaths, path) && !matches(enginePaths, path);
    // A process calls itself what it likes; in whose cgroup and namespaces it is, and as whom, it does not choose.
    const process = pid === null ? undefined : byPid.get(pid);
    const mayKeep = process !== undefined && isHostsRoot(process) && cgroup !== null && matches(keeperCgroups, cgroup);
    return mayKeep && comm !== null && matches(keepers, comm);
  };
  return picture.namespaces.flatMap((namespace) => {
    if (namespace.type !== 'net' || namespace.processCount > 0 || !olderThan(picture, namespace.emptySince, minutes)) return [];
    const holders = holdersOf(picture, namespace);
    // What nobody seen holds may be held by what could not be seen.
    if (holders.some(onPurpose) || (holders.length === 0 && picture.partial)) return [];
    const reason = `no process has lived in network namespace ${named(namespace)} since ${namespace.emptySince}`;
    return [finding('net-without-process', namespace, namespace.emptySince, reason, pinsOf(holders))];
  });
}

function sandboxGone(picture: HostPicture, { 'sandbox-gone': { minutes } }: LeakSettings): Finding[] {
  return picture.namespaces.flatMap((namespace) => {
    const { sandbox } = namespace;
    if (sandbox === null || !['stopped', 'failed', 'removed'].includes(sandbox.state)) return [];
    const since = sandbox.endedAt ?? namespace.firstSeen;
    if (!olderThan(picture, since, minutes)) return [];
    const reason = `sandbox ${sandbox.name} is ${sandbox.state} since ${since}, and its ${namespace.type} namespace ${named(namespace)} is still there`;
    const living = picture.processes.filter(({ namespaces }) => namespaces[namespaceTypes.indexOf(namespace.type)] === namespace.key);
    const pins = [...living.map(livesThere), ...pinsOf(holdersOf(picture, namespace))];
    return [{ ...finding('sandbox-gone', namespace, since, reason, pins), detail: { sandboxId: sandbox.id, sandbox: sandbox.name } }];
  });
}

function userGrowth(picture: HostPicture, { 'user-growth': { more, factor } }: LeakSettings): Finding[] {
  const { count: before, at } = picture.usersBefore;
  const now = picture.namespaces.filter(({ type }) => type === 'user').length;
  if (now - before < more || now < before * factor) return [];
  const reason = `user namespaces grow: ${before} at ${at}, ${now} now`;
  return [{ rule: 'user-growth', namespace: null, subject: '', since: at, reason, pins: [], detail: { before, now } }];
}

function hostNetForeignMnt(picture: HostPicture, { 'host-net-foreign-mnt': { comms, units } }: LeakSettings): Finding[] {
  const host = hostProcess(picture);
  const [net, mnt, user] = [host?.namespaces[netAt] ?? null, host?.namespaces[mntAt] ?? null, host?.namespaces[userAt] ?? null];
  if (net === null || mnt === null) return [];
  const isHostsRoot = hostsRootIn(picture);
  const foreign = picture.processes.filter((process) => {
    const own = process.namespaces[mntAt] ?? null;
    return process.namespaces[netAt] === net && own !== null && own !== mnt;
  });
  const expected = (namespace: PicturedNamespace) =>
    namespace.sandbox !== null || (madeByRoot(namespace, user) && unitOf(namespace).some((unit) => matches(units, unit)));
  const mayBeThere = (namespace: PicturedNamespace, process: PicturedProcess) =>
    madeByRoot(namespace, user) && isHostsRoot(process) && matches(comms, process.comm);
  const byKey = new Map(picture.namespaces.filter(({ type }) => type === 'mnt').map((namespace) => [namespace.key, namespace]));
  return [...Map.groupBy(foreign, (process) => process.namespaces[mntAt] ?? '')].flatMap(([key, all]) => {
    const namespace = byKey.get(key);
    if (namespace === undefined || expected(namespace)) return [];
    const processes = all.filter((process) => !mayBeThere(namespace, process));
    const [first] = processes;
    if (first === undefined) return [];
    const reason = `process ${first.pid} (${first.comm}) shares the host’s net but not its mnt: it lives in mnt namespace ${named(namespace)}`;
    return [finding('host-net-foreign-mnt', namespace, namespace.firstSeen, reason, processes.map(livesThere))];
  });
}

function unexpectedOwner(picture: HostPicture, { 'unexpected-owner': { expected } }: LeakSettings): Finding[] {
  return picture.namespaces.flatMap((namespace) => {
    const { type, ownerUid } = namespace;
    if (type !== 'user' || ownerUid === null || expected.some(([first, last]) => ownerUid >= first && ownerUid <= last)) return [];
    const reason = `user namespace ${named(namespace)} is owned by uid ${ownerUid}, which is not expected to have any`;
    const living = picture.processes.filter(({ namespaces }) => namespaces[userAt] === namespace.key);
    const pins = [...living.map(livesThere), ...pinsOf(holdersOf(picture, namespace))];
    return [{ ...finding('unexpected-owner', namespace, namespace.firstSeen, reason, pins), detail: { ownerUid } }];
  });
}

function finding(rule: LeakRule, namespace: PicturedNamespace, since: string, reason: string, pins: string[]): Finding {
  const shown = pins.length > pinsMax ? [...pins.slice(0, pinsMax), `${pins.length - pinsMax} more hold it`] : pins;
  return { rule, namespace, subject: '', since, reason, pins: shown, detail: {} };
}

function holdersOf({ references }: HostPicture, { type, key }: PicturedNamespace): PicturedReference[] {
  return references.filter((reference) => reference.type === type && reference.key === key);
}

function pinsOf(references: readonly PicturedReference[]): string[] {
  return references.map((reference) => holderText({ ...reference, start: null, uid: null, namespace: null }));
}

function livesThere({ pid, comm }: PicturedProcess): string {
  return `process ${pid} (${comm}) lives in it`;
}

/** pid 1, or where that may not be read kthreadd, which is the kernel's own and lives where the host does. */
function hostProcess({ processes }: HostPicture): PicturedProcess | undefined {
  return [1, 2].map((pid) => processes.find((process) => process.pid === pid)).find(knownPlace);
}

/** Of the host's own user and pid namespaces: root of a container is in others, of one or of both. */
function hostsRootIn(picture: HostPicture): (process: PicturedProcess) => boolean {
  const host = hostProcess(picture);
  return ({ uid, namespaces }) =>
    uid === 0 && [userAt, pidAt].every((at) => typeof namespaces[at] === 'string' && namespaces[at] === host?.namespaces[at]);
}

/** Who makes a mount namespace without being the host's root needs a user namespace, which owns it then. */
function madeByRoot({ owner }: PicturedNamespace, hostUser: string | null): boolean {
  return owner !== null && owner === hostUser;
}

/** None where an engine's container lives in it: one that is privileged may make cgroups below its own, and name them like units. */
function unitOf({ names }: PicturedNamespace): string[] {
  return names.every(({ source }) => source === 'systemd') ? names.map(({ name }) => name) : [];
}

function knownPlace(process: PicturedProcess | undefined): boolean {
  return typeof process?.namespaces[netAt] === 'string' && typeof process.namespaces[mntAt] === 'string';
}

function olderThan({ nowMs }: HostPicture, since: string, minutes: number): boolean {
  return nowMs - Date.parse(since) > minutes * minuteMs;
}

function named({ id, key, names: [best] }: PicturedNamespace): string {
  return best === undefined ? `${id} (${key})` : `${id} (${best.source}:${best.name})`;
}
