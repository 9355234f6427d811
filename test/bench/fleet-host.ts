/** A host as a fleet has them: 25 containers, each with its eight namespaces and one or two processes; what its agent would report. */
import type { HostHello } from '#shared/host.ts';
import type { Report, ReportedNamespace, ReportedProcess } from '#shared/inventory.ts';
import type { NamespaceDetails } from '#shared/namespace-details.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import type { NamespaceType } from '#shared/namespace.ts';
import { namespaceOf, processOf, reportOf } from '#test/controller/store/fixture.ts';

const containers = 25;
const processes = 40;
/** 1 % of 200. A container of eight every fourth minute. */
const minutesAContainer = 4;

type Container = { namespaces: ReportedNamespace[]; processes: ReportedProcess[] };

export type FleetHost = {
  hostId: string;
  snapshot(): Report;
  /** What a minute changed, 1 % in the mean: a whole container every fourth minute, and null between; hosts are not in step. */
  minute(): Report | null;
};

export function createFleetHost(hello: HostHello, number: number): FleetHost {
  let nextId = 1000;
  let nextPid = 100;
  let seq = 0;
  let minutes = number;
  const start = (at: number): Container => {
    const first = (nextId += 8);
    const keys = namespaceTypes.map((_, position) => `id:${first + position}`);
    const hash = (number * 1_000_003 + first).toString(16).padStart(64, '0');
    const command = `/usr/bin/worker --shard ${first} --listen 0.0.0.0:8080 --config /etc/worker/worker.yaml`;
    const started = Array.from({ length: at < processes - containers ? 2 : 1 }, (): ReportedProcess => {
      nextPid += 1;
      return processOf(nextPid, { start: String(100_000 + nextPid), uid: 100_000, comm: 'worker', namespaces: keys });
    });
    const leader = { pid: started[0]?.pid ?? 1, uid: 100_000, comm: 'worker', command };
    const namespaces = namespaceTypes.map((type, position) =>
      namespaceOf(type, first + position, {
        inode: 4_026_532_000 + ((first + position) % 5000),
        owner: type === 'user' ? 'id:1' : `id:${first + namespaceTypes.indexOf('user')}`,
        parent: type === 'user' || type === 'pid' ? 'id:1' : null,
        ownerUid: type === 'user' ? 0 : null,
        processCount: started.length,
        leader,
        names: [{ source: 'docker', name: hash }],
        details: detailsOf(type, hash.slice(-12), leader.pid),
      }),
    );
    return { namespaces, processes: started };
  };
  const running = Array.from({ length: containers }, (_, at) => start(at));
  const report = (kind: Report['kind'], rows: Partial<Report['rows']>): Report => reportOf(hello, (seq += 1), kind, rows);
  return {
    hostId: hello.hostId,
    snapshot: () =>
      report('snapshot', {
        namespaces: running.flatMap((container) => container.namespaces),
        processes: running.flatMap((container) => container.processes),
      }),
    minute() {
      minutes += 1;
      if (minutes % minutesAContainer !== 0) return null;
      const at = (minutes / minutesAContainer) % containers;
      const old = running[at];
      const next = start(at);
      running[at] = next;
      return report('delta', {
        ...next,
        namespacesGone: old?.namespaces.map(({ type, key }) => ({ type, key })) ?? [],
        processesGone: old?.processes.map(({ pid, start }) => ({ pid, start })) ?? [],
      });
    },
  };
}

function detailsOf(type: NamespaceType, name: string, initPid: number): NamespaceDetails | null {
  const details: Partial<Record<NamespaceType, NamespaceDetails>> = {
    user: {
      uidMap: [{ inside: 0, outside: 100_000, count: 65_536 }],
      gidMap: [{ inside: 0, outside: 100_000, count: 65_536 }],
      setgroups: 'allow',
    },
    uts: { hostname: name, domainname: '(none)' },
    net: { links: 2, addresses: 4, routes: 6, listening: 1, peers: [] },
    pid: { initPid },
    mnt: { mounts: 24, rootSource: 'overlay', rootPropagation: 'private' },
    cgroup: { cgroupRoot: `/system.slice/docker-${name}.scope` },
    time: { monotonicOffsetNs: '0', boottimeOffsetNs: '0' },
  };
  return details[type] ?? null;
}
