/** Hosts as the scheduler sees them, for its tests. */
import type { HostView } from '#controller/scheduler/feasible.ts';

/** A ready, privileged, empty host with room for 10; `change` says what is different about it. */
export function hostView(id: string, change: Partial<HostView> = {}): HostView {
  return {
    id,
    name: id,
    status: 'ready',
    labels: {},
    facts: {
      kernelRelease: '6.18.0',
      architecture: 'x64',
      operatingSystem: 'Debian GNU/Linux 13 (trixie)',
      cpus: 4,
      memoryBytes: 8 * 1024 ** 3,
      agentVersion: '0.1.0',
      privileged: true,
      namespaceIds: true,
      scanSource: 'proc',
      scanSourceReason: null,
      changeSource: 'poll',
      changeSourceReason: null,
      features: null,
      missing: [],
    },
    capacity: { sandboxes: 10, idRanges: 10 },
    used: { sandboxes: 0, idRanges: 0 },
    ...change,
  };
}

/** `used(7)` sandboxes, each with its range. */
export function used(sandboxes: number, idRanges = sandboxes): Pick<HostView, 'used'> {
  return { used: { sandboxes, idRanges } };
}

/** A host whose agent runs as a plain user: no ranges, and none needed. */
export function unprivileged(id: string, change: Partial<HostView> = {}): HostView {
  const host = hostView(id);
  return {
    ...host,
    facts: host.facts === null ? null : { ...host.facts, privileged: false },
    capacity: { sandboxes: 10, idRanges: 0 },
    ...change,
  };
}
