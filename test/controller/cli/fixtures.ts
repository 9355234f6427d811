/** Resources as the API shows them, for the tests of the CLI. */
import { randomUUID } from 'node:crypto';
import type { Event, Host, Namespace, Sandbox } from '#shared/resources.ts';
import { SandboxRequest } from '#shared/sandbox.ts';

export const bootId = '0e5a6e4e-6f55-4f0c-9e0f-6f1f1f4f6a10';
export const seen = '2026-11-23T12:00:00.000Z';

export function hostFixture(change: Partial<Host> = {}): Host {
  return {
    id: 'h1',
    name: 'web-1',
    status: 'ready',
    statusReason: '',
    bootId,
    labels: { zone: 'a' },
    capacity: { sandboxes: 100, idRanges: 4095 },
    used: { sandboxes: 2, idRanges: 2 },
    facts: {
      kernelRelease: '6.12.0',
      architecture: 'x86_64',
      operatingSystem: 'Debian GNU/Linux 13',
      cpus: 2,
      memoryBytes: 4 * 1024 ** 3,
      agentVersion: '0.1.0',
      privileged: true,
      namespaceIds: false,
      scanSource: 'proc',
      scanSourceReason: null,
      changeSource: 'poll',
      changeSourceReason: null,
      features: null,
      missing: ['no cgroup v2: mount it'],
    },
    lastBeatAt: seen,
    lastReportAt: seen,
    scan: { processes: 80, threads: 0, unreadable: 0, vanished: 1, hidden: {}, partial: false, durationMicros: 1500 },
    namespaces: 12,
    enrolledAt: seen,
    ...change,
  };
}

export function namespaceFixture(change: Partial<Namespace> = {}): Namespace {
  return {
    id: '1',
    hostId: 'h1',
    hostName: 'web-1',
    bootId,
    type: 'net',
    key: 'ino:4026531833.0',
    inode: 4_026_531_833,
    parent: null,
    owner: 'ino:4026531837.0',
    ownerUid: null,
    processCount: 83,
    referenceCount: 0,
    names: [],
    details: null,
    leader: { pid: 1, uid: 0, comm: 'systemd', command: '/sbin/init splash' },
    sandbox: null,
    firstSeen: seen,
    lastSeen: seen,
    current: true,
    endUnseen: false,
    partial: false,
    ...change,
  };
}

export function sandboxFixture(change: Partial<Sandbox> = {}): Sandbox {
  const { spec } = SandboxRequest.parse({ spec: { command: ['sleep', 'infinity'] } });
  return {
    id: randomUUID(),
    name: 'calm-river-1234',
    state: 'running',
    wanted: 'running',
    generation: 1,
    observedGeneration: 1,
    labels: {},
    autoRemove: false,
    spec,
    hostId: 'h1',
    hostName: 'web-1',
    placementId: randomUUID(),
    idRange: { start: 1_879_048_192, count: 65_536 },
    initPid: 100,
    commandPid: 101,
    namespaces: [],
    lacks: [],
    exit: null,
    error: null,
    decision: null,
    createdAt: seen,
    startedAt: seen,
    endedAt: null,
    ...change,
  };
}

export function eventFixture(change: Partial<Event> = {}): Event {
  return {
    seq: '1',
    at: seen,
    type: 'namespace.appeared',
    hostId: 'h1',
    sandboxId: null,
    namespaceId: '5',
    detail: { type: 'net', key: 'id:5', inode: 77, comm: 'sl\neep', names: [{ source: 'docker', name: 'web' }] },
    ...change,
  };
}
