/** A migrated database of its own for a test, and the things that agents and users say to it. */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { openStore } from '#controller/store/client.ts';
import type { Store } from '#controller/store/client.ts';
import { enrollHost, recordHello } from '#controller/store/hosts.ts';
import { migrate } from '#controller/store/migrate.ts';
import type { PlaceOutcome, PlaceWish } from '#controller/store/place.ts';
import { placeSandbox } from '#controller/store/sandboxes.ts';
import { NsfleetError } from '#shared/errors.ts';
import type { ErrorCode } from '#shared/errors.ts';
import type { HostHello } from '#shared/host.ts';
import { noRows } from '#shared/inventory.ts';
import type { Report, ReportRows, ReportedNamespace, ReportedProcess, ReportedReference } from '#shared/inventory.ts';
import { createLog } from '#shared/log.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import { SandboxRequest } from '#shared/sandbox.ts';
import type { PlacementStatus } from '#shared/sandbox.ts';
import { freshDatabase } from '#test/support/postgres.ts';

export const log = createLog('test', 'silent');
export type FreshStore = { store: Store; url: string; [Symbol.asyncDispose](): Promise<void> };

export async function freshStore(poolSize = 10): Promise<FreshStore> {
  const database = await freshDatabase();
  const store = await openStore({ url: database.url, log, poolSize });
  await migrate(store);
  return {
    store,
    url: database.url,
    async [Symbol.asyncDispose]() {
      await store.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

export function helloOf(hostId: string, fields: Partial<HostHello> = {}): HostHello {
  return {
    hostId,
    bootId: randomUUID(),
    epoch: 1,
    labels: {},
    capacity: { sandboxes: 100, idRanges: 100 },
    idPool: { start: 0x7000_0000, count: 100, size: 65_536 },
    facts: {
      kernelRelease: '6.18.0',
      architecture: 'x86_64',
      operatingSystem: 'Debian GNU/Linux 12 (bookworm)',
      cpus: 2,
      memoryBytes: 2 ** 34,
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
    ...fields,
  };
}

/** A host that has said hello. */
export async function readyHost(store: Store, id: string, fields: Partial<HostHello> = {}): Promise<HostHello> {
  const hello = helloOf(id, fields);
  await enrollHost(store.db, { id, name: `${id}.example`, publicKey: `U${randomBytes(28).toString('hex').toUpperCase()}` });
  assert.deepEqual(await recordHello(store, hello), { known: true, rebooted: false });
  return hello;
}

export function wishOf(hostId: string, fields: Partial<PlaceWish> & { input?: object } = {}): PlaceWish {
  const { input = {}, ...rest } = fields;
  return {
    request: SandboxRequest.parse({ spec: { command: ['sleep', '1000'] }, ...input }),
    name: `s-${randomBytes(6).toString('hex')}`,
    idempotencyKey: null,
    requestHash: 'hash',
    decision: { hostsSeen: 1, hostsFeasible: 1, refusals: [], scores: [], chosen: hostId },
    hostId,
    ...rest,
  };
}

export type Placed = Extract<PlaceOutcome, { outcome: 'placed' }>;

export async function place(store: Store, hostId: string, fields: Partial<PlaceWish> & { input?: object } = {}): Promise<Placed> {
  const placed = await placeSandbox(store, wishOf(hostId, fields));
  assert.equal(placed.outcome, 'placed');
  return placed;
}

export function statusOf(
  { desired }: Placed,
  statusSeq: number,
  state: PlacementStatus['state'],
  fields: Partial<PlacementStatus> = {},
): PlacementStatus {
  const { placementId, sandboxId } = desired;
  return {
    placementId,
    sandboxId,
    generation: desired.generation,
    statusSeq,
    state,
    initPid: null,
    commandPid: null,
    namespaces: [],
    exit: null,
    error: null,
    lacks: [],
    observed: null,
    startedAt: null,
    endedAt: null,
    ...fields,
  };
}

/** One of each type, with ids from `first` on. */
export function eightNamespaces(first: number): PlacementStatus['namespaces'] {
  return namespaceTypes.map((type, at) => ({ type, key: `id:${first + at}`, inode: 4_026_532_000 + first + at }));
}

export function namespaceOf(
  type: ReportedNamespace['type'],
  id: number | string,
  fields: Partial<ReportedNamespace> = {},
): ReportedNamespace {
  return {
    type,
    key: `id:${id}`,
    inode: 4_026_532_000,
    parent: null,
    owner: null,
    ownerUid: null,
    processCount: 1,
    leader: null,
    names: [],
    details: null,
    ...fields,
  };
}

export function processOf(pid: number, fields: Partial<ReportedProcess> = {}): ReportedProcess {
  const namespaces = namespaceTypes.map(() => null);
  return { pid, start: `${pid}00`, ppid: 1, uid: 0, comm: 'sh', namespaces, forChildren: [null, null], ...fields };
}

/** An open descriptor of a net namespace, unless told otherwise. */
export function referenceOf(id: string, key: number | string, fields: Partial<ReportedReference> = {}): ReportedReference {
  const place = {
    pid: 7,
    start: '700',
    tid: null,
    fd: 3,
    uid: 0,
    comm: 'holder',
    cgroup: null,
    path: null,
    mountNamespace: null,
    detail: null,
  };
  return { id, kind: 'fd', type: 'net', key: `id:${key}`, ...place, ...fields };
}

export function reportOf({ hostId, bootId, epoch }: HostHello, seq: number, kind: Report['kind'], rows: Partial<ReportRows> = {}): Report {
  return {
    v: 1,
    hostId,
    bootId,
    epoch,
    seq,
    kind,
    page: 0,
    pages: 1,
    counts: {
      processes: rows.processes?.length ?? 0,
      threads: 0,
      unreadable: 0,
      vanished: 0,
      hidden: {},
      partial: false,
      durationMicros: 1,
    },
    rows: { ...noRows(), ...rows },
  };
}

/** For `assert.rejects`. */
export function refusedWith(code: ErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof NsfleetError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };
}

/** What another program sees, past all verbs. */
export async function select<Row extends object>(store: Store, text: string, values: unknown[] = []): Promise<Row[]> {
  const { rows } = await store.pool.query<Row>(text, values);
  return rows;
}
