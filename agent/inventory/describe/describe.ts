/**
 * Adds to a model what its namespaces are called and what they are like inside. What was read is kept: a namespace is read when it is new, when its
 * first process is another one, once more when it has settled (a container gets its host name and addresses after its namespaces), and when
 * everything is to be refreshed.
 */
import { readFileSync } from 'node:fs';
import type { Native } from '#native/binding.ts';
import type { ReportedNamespace } from '#shared/inventory.ts';
import type { NamespaceDetails, NamespaceName } from '#shared/namespace-details.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import { namespaceMapKey } from '../model.ts';
import type { Model } from '../model.ts';
import { namesOfCgroups } from './cgroup-names.ts';
import { insideDetails, insideTypes } from './inside-details.ts';
import { mountDetails, pidDetails, timeDetails, userDetails } from './member-details.ts';
import type { Member } from './member-details.ts';
import { readNetnsNames } from './netns-names.ts';
import { waysOf } from './way.ts';

/** After that long, what makes a container has made it. */
const settleMs = 1500;
/** Some 50 µs each: yield to the event loop after so many. */
const namespacesPerTurn = 50;
const namesMax = 16;

export type Describer = {
  /** The same model with names and details; `refresh` reads all of them again. Never throws: what cannot be read is said in the details. */
  describe(model: Model, options: { refresh: boolean }): Promise<Model>;
  /** Milliseconds until something that is new will have settled and should be described again; null: nothing is. */
  settlesInMs(): number | null;
};

export type DescriberOptions = {
  native: Pick<Native, 'lookInside' | 'relate'>;
  proc?: string;
  netnsDirectory?: string;
  /** Name of the sandbox of this agent that was given the namespace, or null. */
  sandboxOf?: (namespace: ReportedNamespace) => string | null;
  nowMs?: () => number;
};

type Known = { leader: string; readAtMs: number; settled: boolean; names: NamespaceName[]; details: NamespaceDetails | null };

/** Opens nothing before it is asked. */
export function createDescriber({
  native,
  proc = '/proc',
  netnsDirectory = '/run/netns',
  sandboxOf = () => null,
  nowMs = () => performance.now(),
}: DescriberOptions): Describer {
  let known = new Map<string, Known>();

  const isStale = (key: string, row: ReportedNamespace, now: number): boolean => {
    const old = known.get(key);
    return old === undefined || old.leader !== leaderKey(row) || (!old.settled && now - old.readAtMs >= settleMs);
  };

  return {
    async describe(model, { refresh }) {
      const now = nowMs();
      const stale = [...model.namespaces].filter(([key, row]) => refresh || isStale(key, row, now));
      const next = new Map<string, Known>();
      for (const key of model.namespaces.keys()) {
        const old = known.get(key);
        if (old !== undefined) next.set(key, old);
      }
      const read = await readAll(
        stale.map(([, row]) => row),
        model,
      );
      for (const [key, row] of stale) {
        const old = known.get(key);
        const settled = old !== undefined && (refresh || now - old.readAtMs >= settleMs);
        next.set(key, { leader: leaderKey(row), readAtMs: now, settled, ...(read.get(key) ?? { names: [], details: null }) });
      }
      known = next;
      const namespaces = new Map<string, ReportedNamespace>();
      for (const [key, row] of model.namespaces) {
        const { names, details } = next.get(key) ?? { names: [], details: null };
        namespaces.set(key, { ...row, names, details });
      }
      return { ...model, namespaces };
    },
    settlesInMs() {
      let first: number | null = null;
      for (const { settled, readAtMs } of known.values()) if (!settled) first = Math.min(first ?? Infinity, readAtMs + settleMs);
      return first === null ? null : Math.max(0, first - nowMs());
    },
  };

  async function readAll(rows: readonly ReportedNamespace[], model: Model): Promise<Map<string, Pick<Known, 'names' | 'details'>>> {
    const found = new Map<string, Pick<Known, 'names' | 'details'>>();
    if (rows.length === 0) return found;
    const own = ownMountNamespace();
    const netnsNames = own === null ? new Map<number, NamespaceName[]>() : readNetnsNames(netnsDirectory, own.dev);
    const wayTo = waysOf(model, proc, own?.inode ?? 0);
    const ways = rows.filter(({ type }) => insideTypes.includes(type)).flatMap((row) => wayTo(row) ?? []);
    const networks = [...model.namespaces.values()].filter(({ type }) => type === 'net').flatMap((row) => wayTo(row) ?? []);
    const inside = await insideDetails(native, ways, networks);
    let read = 0;
    for (const row of rows) {
      const key = namespaceMapKey(row);
      const sandbox = sandboxOf(row);
      const names: NamespaceName[] = [
        ...(sandbox === null ? [] : [{ source: 'nsfleet' as const, name: sandbox }]),
        ...(row.type === 'net' ? (netnsNames.get(row.inode) ?? []) : []),
        ...leaderNames(row),
      ].slice(0, namesMax);
      found.set(key, { names, details: inside.get(key) ?? memberDetails(row, model) });
      if (++read % namespacesPerTurn === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    return found;
  }

  function leaderNames({ leader }: ReportedNamespace): NamespaceName[] {
    if (leader === null) return [];
    try {
      return namesOfCgroups(readFileSync(`${proc}/${leader.pid}/cgroup`));
    } catch {
      return [];
    }
  }

  function memberDetails(row: ReportedNamespace, model: Model): NamespaceDetails | null {
    if (row.leader === null) return null;
    const member: Member = { pid: row.leader.pid, path: `${proc}/${row.leader.pid}` };
    switch (row.type) {
      case 'user':
        return userDetails(member);
      case 'time':
        return timeDetails(member, childrenDiffer(row, model));
      case 'pid':
        return pidDetails(membersOf(row, model));
      case 'mnt':
        return mountDetails(member);
      default:
        return null;
    }
  }

  function* membersOf(row: ReportedNamespace, model: Model): Generator<Member> {
    const position = namespaceTypes.indexOf(row.type);
    for (const { pid, namespaces } of model.processes.values()) if (namespaces[position] === row.key) yield { pid, path: `${proc}/${pid}` };
  }

  function ownMountNamespace(): { dev: number; inode: number } | null {
    try {
      return native.relate({ path: '/proc/self/ns/mnt' });
    } catch {
      return null;
    }
  }
}

function childrenDiffer({ leader }: ReportedNamespace, model: Model): boolean {
  for (const process of model.processes.values()) if (process.pid === leader?.pid) return process.forChildren[1] !== null;
  return false;
}

/** Another first process may have another command, cgroup and mount table; comm changes with exec. */
function leaderKey({ leader }: ReportedNamespace): string {
  return leader === null ? '' : `${leader.pid} ${leader.comm} ${leader.command}`;
}
