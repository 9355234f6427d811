/** Model, diff and pages as properties: what one side computes, the other side's way of applying it gives back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { allRows, diffModels, rowCount } from '#agent/inventory/diff.ts';
import { emptyModel, namespaceMapKey, processMapKey } from '#agent/inventory/model.ts';
import type { Model } from '#agent/inventory/model.ts';
import { pagesOf } from '#agent/inventory/pages.ts';
import { Report, noRows, reportPagesMax } from '#shared/inventory.ts';
import type { ReportRows, ReportedNamespace, ReportedProcess, ReportedReference } from '#shared/inventory.ts';
import { encodeMessage } from '#shared/messages.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import { rawText } from '#shared/raw-text.ts';

const key = fc.integer({ min: 1, max: 30 }).map((id) => `id:${id}`);
const anyText = (maxLength: number) => fc.uint8Array({ maxLength }).map((bytes) => rawText(bytes));
const namespace: fc.Arbitrary<ReportedNamespace> = fc.record({
  type: fc.constantFrom(...namespaceTypes),
  key,
  inode: fc.integer({ min: 4_026_531_835, max: 4_026_531_900 }),
  parent: fc.option(key),
  owner: fc.option(key),
  ownerUid: fc.option(fc.nat()),
  processCount: fc.nat(1000),
  leader: fc.option(fc.record({ pid: fc.integer({ min: 1, max: 4_194_304 }), uid: fc.nat(), comm: anyText(16), command: anyText(128) })),
  names: fc.array(
    fc.record({ source: fc.constantFrom('systemd' as const, 'docker' as const), name: anyText(16) }, { noNullPrototype: true }),
    { maxLength: 2 },
  ),
  details: fc.option(fc.record({ hostname: anyText(16) }, { noNullPrototype: true })),
});
const process: fc.Arbitrary<ReportedProcess> = fc.record({
  pid: fc.integer({ min: 1, max: 40 }),
  start: fc.nat().map(String),
  ppid: fc.nat(40),
  uid: fc.nat(),
  comm: anyText(16),
  namespaces: fc.array(fc.option(key), { minLength: 8, maxLength: 8 }),
  forChildren: fc.array(fc.option(key), { minLength: 2, maxLength: 2 }),
});
const reference: fc.Arbitrary<ReportedReference> = fc.record(
  {
    id: fc.integer({ min: 1, max: 40 }).map((place) => `fd ${place}`),
    kind: fc.constantFrom('fd', 'mount', 'socket'),
    type: fc.constantFrom(...namespaceTypes),
    key,
    pid: fc.option(fc.integer({ min: 1, max: 40 })),
    start: fc.option(fc.nat().map(String)),
    tid: fc.constant(null),
    fd: fc.option(fc.nat(100)),
    uid: fc.option(fc.nat()),
    comm: fc.option(anyText(16)),
    cgroup: fc.option(anyText(40)),
    path: fc.option(anyText(40)),
    mountNamespace: fc.option(key),
    detail: fc.option(anyText(20)),
  },
  { noNullPrototype: true },
);
const model: fc.Arbitrary<Model> = fc
  .record({
    namespaces: fc.array(namespace, { maxLength: 40 }),
    processes: fc.array(process, { maxLength: 40 }),
    references: fc.array(reference, { maxLength: 20 }),
  })
  .map(({ namespaces, processes, references }) => ({
    namespaces: new Map(namespaces.map((row) => [namespaceMapKey(row), row])),
    processes: new Map(processes.map((row) => [processMapKey(row), row])),
    references: new Map(references.map((row) => [row.id, row])),
    counts: { ...emptyModel.counts, processes: processes.length },
  }));

/** What a controller does with a delta. */
function apply(before: Model, pages: ReportRows[]): Pick<Model, 'namespaces' | 'processes' | 'references'> {
  const namespaces = new Map(before.namespaces);
  const processes = new Map(before.processes);
  const references = new Map(before.references);
  for (const rows of pages) {
    for (const row of rows.namespacesGone) assert.ok(namespaces.delete(namespaceMapKey(row)));
    for (const row of rows.processesGone) assert.ok(processes.delete(processMapKey(row)));
    for (const row of rows.namespaces) namespaces.set(namespaceMapKey(row), row);
    for (const row of rows.processes) processes.set(processMapKey(row), row);
    for (const id of rows.referencesGone) assert.ok(references.delete(id));
    for (const row of rows.references) references.set(row.id, row);
  }
  return { namespaces, processes, references };
}

test('a delta applied to the old model is the new model, in pages of any size', () => {
  fc.assert(
    fc.property(model, model, fc.integer({ min: 2000, max: 20_000 }), (before, after, maxBytes) => {
      const { namespaces, processes, references } = apply(before, pagesOf(diffModels(before, after), maxBytes));
      assert.deepEqual(sorted(namespaces), sorted(after.namespaces));
      assert.deepEqual(sorted(processes), sorted(after.processes));
      assert.deepEqual(sorted(references), sorted(after.references));
    }),
  );
});

test('nothing changed: no row', () => {
  fc.assert(fc.property(model, (same) => assert.equal(rowCount(diffModels(same, structuredClone(same))), 0)));
});

test('a snapshot applied to nothing is the model', () => {
  fc.assert(
    fc.property(model, (whole) => {
      const empty: Model = { ...emptyModel, counts: whole.counts };
      const { namespaces, processes, references } = apply(empty, pagesOf(allRows(whole), 4000));
      assert.deepEqual([namespaces, processes, references], [whole.namespaces, whole.processes, whole.references]);
    }),
  );
});

test('every page of a large host fits into a message, whatever its processes are called', () => {
  const row = (pid: number): ReportedProcess => ({
    pid,
    start: String(pid * 1000),
    ppid: 1,
    uid: 4_294_967_294,
    comm: '\u{1F600}"\\\u0001'.repeat(8),
    namespaces: namespaceTypes.map((_, index) => `id:${18_446_744_073_709_500_000n + BigInt(index)}`),
    forChildren: [null, null],
  });
  const processes = Array.from({ length: 5000 }, (_, index) => row(index + 1));
  const pages = pagesOf({ ...noRows(), processes });
  assert.ok(pages.length > 5);
  const uuid = '00000000-0000-4000-8000-000000000000';
  const counts = {
    processes: 1e9,
    threads: 1e9,
    unreadable: 1e9,
    vanished: 1e9,
    hidden: { fd_eacces: 1e9 },
    partial: true,
    durationMicros: 1e9,
  };
  for (const [page, rows] of pages.entries()) {
    const base = { hostId: 'x'.repeat(64), bootId: uuid, epoch: Number.MAX_SAFE_INTEGER, seq: Number.MAX_SAFE_INTEGER };
    encodeMessage('report', Report.parse({ v: 1, ...base, kind: 'snapshot', page, pages: reportPagesMax, counts, rows }));
  }
  assert.equal(
    pages.reduce((sum, { processes }) => sum + processes.length, 0),
    5000,
  );
});

function sorted<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].toSorted(([a], [b]) => (a < b ? -1 : 1));
}
