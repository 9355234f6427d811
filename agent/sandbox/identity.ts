/** Which ids of the host stand behind those of a sandbox, and what the maps that a user writes must be like. Pure. */
import type { Plan, PlanIdMap } from '#shared/plan.ts';
import type { SandboxUser } from '#shared/process.ts';
import type { IdRange, SandboxSpec } from '#shared/sandbox.ts';
import { choiceOf } from '#shared/sandbox-namespaces.ts';

export type Identity = Pick<Plan, 'idMaps' | 'setgroupsDeny'>;

/** The agent's own ids. */
export type Owner = { uid: number; gid: number };

/** Every id is itself: of a sandbox, and of a program, without a user namespace of its own. */
export const everyId: PlanIdMap = { inside: 0, outside: 0, count: 2 ** 32 - 2 };

/** `joined`: the maps of the user namespace that it joins. */
export function identityOf(
  spec: Pick<SandboxSpec, 'namespaces' | 'idMaps'>,
  idRange: IdRange | null,
  owner: Owner,
  joined: Identity | null,
): Identity {
  if (joined !== null) return joined;
  if (choiceOf(spec.namespaces, 'user').from === 'host') return { idMaps: { uid: [everyId], gid: [everyId] }, setgroupsDeny: false };
  if (idRange === null) return { idMaps: { uid: [oneId(owner.uid)], gid: [oneId(owner.gid)] }, setgroupsDeny: true };
  if (spec.idMaps !== undefined) return { idMaps: spec.idMaps, setgroupsDeny: false };
  const map = { inside: 0, outside: idRange.start, count: idRange.count };
  return { idMaps: { uid: [map], gid: [map] }, setgroupsDeny: false };
}

function oneId(outside: number): PlanIdMap {
  return { inside: 0, outside, count: 1 };
}

/** The host's id for one inside; null: it has none. */
export function outsideOf(maps: readonly PlanIdMap[], inside: number): number | null {
  const map = maps.find((one) => inside >= one.inside && inside < one.inside + one.count);
  return map === undefined ? null : map.outside + inside - map.inside;
}

/** Whether two runs of host ids, each from `start` on, have one in common. */
export function overlaps(a: { start: number; count: number }, b: { start: number; count: number }): boolean {
  return a.start < b.start + b.count && b.start < a.start + a.count;
}

/** Host ids that a sandbox takes for itself: none where it has no user namespace of its own. */
export function ownIds(spec: Pick<SandboxSpec, 'namespaces' | 'idMaps'>, idRange: IdRange | null): { start: number; count: number }[] {
  if (choiceOf(spec.namespaces, 'user').from !== 'new') return [];
  if (spec.idMaps === undefined) return idRange === null ? [] : [idRange];
  return [...spec.idMaps.uid, ...spec.idMaps.gid].map(({ outside, count }) => ({ start: outside, count }));
}

/**
 * What is wrong with maps that a user wrote or that a joined user namespace has, as sentences. Host root is never among a sandbox's ids, nor is
 * the agent: `owner` may be null where the maps are of the agent's own user, who is a plain one.
 */
export function mapProblems({ uid, gid }: Plan['idMaps'], user: Pick<SandboxUser, 'uid' | 'gid'>, owner: Owner | null): string[] {
  const sentences: string[] = [];
  for (const [kind, maps, wanted, own] of [
    ['uid', uid, user.uid, owner?.uid],
    ['gid', gid, user.gid, owner?.gid],
  ] as const) {
    // A name is looked up in the root, by the shim, which refuses what has no id.
    for (const inside of new Set([0, typeof wanted === 'number' ? wanted : 0])) {
      if (outsideOf(maps, inside) === null) sentences.push(`${kind} ${inside} has no id on the host`);
    }
    for (const forbidden of new Set([0, ...(own === undefined ? [] : [own])])) {
      const reached = maps.some(({ outside, count }) => forbidden >= outside && forbidden < outside + count);
      if (reached)
        sentences.push(`${kind} ${forbidden} of the host ${forbidden === 0 ? 'is root' : 'is this agent'}, which no sandbox may be`);
    }
    for (const [index, map] of maps.entries()) {
      for (const other of maps.slice(index + 1)) {
        const twice = (field: 'inside' | 'outside') =>
          overlaps({ start: map[field], count: map.count }, { start: other[field], count: other.count });
        if (twice('inside') || twice('outside')) sentences.push(`the ${kind} maps from ${map.inside} and ${other.inside} overlap`);
      }
    }
  }
  return sentences;
}
