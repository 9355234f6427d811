import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createBudget } from '#agent/inventory/budget.ts';
import { createJudge } from '#agent/inventory/judge.ts';
import { buildModel } from '#agent/inventory/model.ts';
import type { Model } from '#agent/inventory/model.ts';
import { patchModel } from '#agent/inventory/patch.ts';
import { createPending } from '#agent/inventory/pending.ts';
import { changeKinds } from '#agent/changes/records.ts';
import type { NamespaceRow, ProcessRow, Scan } from '#native/types.ts';
import type { ReportedReference } from '#shared/inventory.ts';
import { namespaceTypes } from '#shared/namespace.ts';

/** A host: processes by pid, and namespaces of each type that they refer to by number. */
type Process = { start: number; ppid: number; uid: number; comm: string; ns: number[]; forChildren: number };
type World = ReadonlyMap<number, Process>;

/** Every third namespace of a type lies below the one before; owners are user namespaces of lower numbers. */
const parentOf = (position: number, number: number): number | null =>
  (namespaceTypes[position] === 'user' || namespaceTypes[position] === 'pid') && number > 0 ? Math.floor(number / 2) : null;
const ownerOf = (position: number, number: number): number | null =>
  namespaceTypes[position] === 'user' ? parentOf(position, number) : Math.floor(number / 2);
const userPosition = namespaceTypes.indexOf('user');
const pidPosition = namespaceTypes.indexOf('pid');

/** What a scan of some processes of the host gives, or of all. */
function scanOf(world: World, pids: Iterable<number> = world.keys()): Scan {
  const namespaces: NamespaceRow[] = [];
  const indexes = new Map<string, number>();
  const add = (position: number, number: number): number => {
    const name = `${position} ${number}`;
    const known = indexes.get(name);
    if (known !== undefined) return known;
    const type = namespaceTypes[position] ?? 'mnt';
    const id = String(1000 * (position + 1) + number);
    const empty = { processCount: 0, leaderPid: 0, leaderStartTicks: '0', parentIndex: -1, ownerIndex: -1 };
    const row: NamespaceRow = { type, inode: Number(id), dev: 4, id, ownerUid: type === 'user' ? number : null, ...empty };
    const index = namespaces.push(row) - 1;
    indexes.set(name, index);
    const [parent, owner] = [parentOf(position, number), ownerOf(position, number)];
    if (parent !== null) row.parentIndex = add(position, parent);
    if (owner !== null) row.ownerIndex = add(userPosition, owner);
    return index;
  };
  const processes: ProcessRow[] = [];
  for (const pid of [...pids].toSorted((a, b) => a - b)) {
    const process = world.get(pid);
    if (process === undefined) continue;
    const { start, ppid, uid, comm } = process;
    const ns = process.ns.map((number, position) => (number < 0 ? -1 : add(position, number)));
    ns.push(process.forChildren < 0 ? (ns[pidPosition] ?? -1) : add(pidPosition, process.forChildren), ns[7] ?? -1);
    processes.push({ pid, ppid, startTicks: String(start), uid, state: 'S', comm, ns });
    for (const index of ns.slice(0, 8)) {
      const row = namespaces[index];
      if (row === undefined) continue;
      row.processCount += 1;
      if (row.leaderPid === 0) Object.assign(row, { leaderPid: pid, leaderStartTicks: String(start) });
    }
  }
  const unreadable = { EACCES: 0, EPERM: 0, other: 0 };
  return {
    processes,
    namespaces,
    counts: { processes: processes.length, namespaces: namespaces.length, vanished: 0, unreadable, unpinned: 0 },
  };
}

const commandOf = (pid: number, start: string, comm: string): string => `${comm} of ${pid} since ${start}`;
const modelOf = (scan: Scan, asked: ReadonlySet<number> | null = null): Model => buildModel(scan, new Map(), commandOf, 0, asked).model;

const process = fc.record({
  start: fc.nat(3),
  ppid: fc.nat(20),
  uid: fc.nat(2),
  comm: fc.constantFrom('a', 'b'),
  // -1: could not be read, or a zombie has none.
  ns: fc.array(fc.integer({ min: -1, max: 5 }), { minLength: 8, maxLength: 8 }),
  forChildren: fc.integer({ min: -1, max: 5 }),
});
const pid = fc.integer({ min: 1, max: 20 });

test('a model patched by what changed is the model of a full scan, over a whole history', () => {
  const world = fc.uniqueArray(fc.tuple(pid, process), { selector: ([key]) => key, maxLength: 15 });
  const change = fc.uniqueArray(fc.tuple(pid, fc.option(process)), { selector: ([key]) => key, maxLength: 6 });
  const steps = fc.array(fc.record({ change, more: fc.array(pid, { maxLength: 4 }) }), { maxLength: 6 });
  fc.assert(
    fc.property(world, steps, (entries, history) => {
      const now = new Map(entries);
      let model = modelOf(scanOf(now));
      for (const { change: changes, more } of history) {
        for (const [key, value] of changes) {
          if (value === null) now.delete(key);
          else now.set(key, value);
        }
        const asked = new Set([...changes.map(([key]) => key), ...more]);
        model = patchModel(model, modelOf(scanOf(now, asked), asked), asked, commandOf);
        const whole = modelOf(scanOf(now));
        assert.deepEqual(model.namespaces, whole.namespaces);
        assert.deepEqual(model.processes, whole.processes);
      }
    }),
    { numRuns: 2000 },
  );
});

test('nothing new leaves the very same model', () => {
  const world = new Map([[1, { start: 1, ppid: 0, uid: 0, comm: 'a', ns: [0, 0, 0, 0, 0, 0, 0, 0], forChildren: -1 }]]);
  const model = modelOf(scanOf(world));
  assert.equal(patchModel(model, modelOf(scanOf(world), new Set([1, 2])), new Set([1, 2]), commandOf), model);
});

test('a reference goes with its process, and what it alone held with it; a mount stays', () => {
  const host = { start: 1, ppid: 0, uid: 0, comm: 'a', ns: [0, 0, 0, 0, 0, 0, 0, 0], forChildren: -1 };
  const away = { ...host, ns: [0, 0, 0, 0, 0, 0, 1, 0] };
  const both = modelOf(
    scanOf(
      new Map([
        [1, host],
        [2, away],
      ]),
    ),
  );
  const net = both.processes.get('2 1')?.namespaces[6] ?? assert.fail();
  const reference = {
    type: 'net',
    key: net,
    tid: null,
    fd: 3,
    uid: 0,
    comm: null,
    cgroup: null,
    path: null,
    mountNamespace: null,
    detail: null,
  } as const;
  const fd: ReportedReference = { ...reference, id: 'fd', kind: 'fd', pid: 2, start: '1' };
  const mount: ReportedReference = { ...reference, id: 'mount', kind: 'mount', pid: null, start: null };
  const gone = modelOf(scanOf(new Map()), new Set());
  const held = patchModel(
    {
      ...both,
      references: new Map([
        ['fd', fd],
        ['mount', mount],
      ]),
    },
    gone,
    new Set([2]),
    commandOf,
  );
  assert.deepEqual([...held.references.keys()], ['mount']);
  assert.equal(held.namespaces.get(`net ${net}`)?.processCount, 0);
  const free = patchModel({ ...both, references: new Map([['fd', fd]]) }, gone, new Set([2]), commandOf);
  assert.equal(free.references.size, 0);
  assert.ok(!free.namespaces.has(`net ${net}`));
});

test('pending: a process that came and went is forgotten, what is unknown does not matter, too many are all', () => {
  const pending = createPending();
  pending.add(7, changeKinds.new, false);
  pending.add(7, changeKinds.gone, false);
  pending.add(8, changeKinds.exit, false);
  assert.equal(pending.size, 0);
  pending.add(9, changeKinds.exit, true);
  pending.add(9, changeKinds.gone, true);
  assert.deepEqual(pending.take(), new Map([[9, changeKinds.exit | changeKinds.gone]]));
  assert.equal(pending.size, 0);
  for (let next = 1; next <= 5000; next += 1) pending.add(next, changeKinds.new, false);
  assert.ok(pending.isAll);
  assert.equal(pending.take(), null);
  pending.begin();
  for (const next of [1, 2, 3]) pending.add(next, changeKinds.new, false);
  for (const next of [1, 2]) pending.add(next, changeKinds.gone, false);
  assert.equal(pending.size, 0);
  pending.end((next) => next === 1);
  assert.deepEqual([...(pending.take()?.keys() ?? [])], [1, 3], 'the look saw 1, and 3 lives');
  assert.equal(pending.size, 0);
});

test('budget: in a storm at most one full scan’s work a second, all in all', () => {
  const budget = createBudget();
  budget.setFullScan(40);
  let now = 10_000;
  let spent = 0;
  budget.hear(1500, now);
  const end = now + 10_000;
  while (now < end) {
    const waitMs = budget.waitMs(now);
    now += waitMs;
    budget.hear(Math.ceil(waitMs * 5), now);
    budget.spend(2, 1, now);
    spent += 3;
    now += 3;
  }
  assert.ok(spent <= 40 * 10, `${spent} ms in ten seconds, with all that was saved`);
  assert.ok(spent >= 40 * 9, `${spent} ms in ten seconds`);
});

test('budget: a tenth of the time where no storm is, and what the agent does beside delays a look little', () => {
  const budget = createBudget();
  budget.setFullScan(40);
  let now = 10_000;
  for (let second = 0; second < 10; second += 1) {
    for (let change = 0; change < 25; change += 1) {
      budget.hear(30, now);
      assert.equal(budget.waitMs(now), 0);
      budget.spend(2, 1, now);
      now += 40;
    }
  }
  budget.spendSaved(5000, 0, now);
  assert.ok(budget.waitMs(now) <= 100, 'a scan that was asked for keeps nothing waiting');
  budget.spend(0, 5000, now);
  assert.ok(budget.waitMs(now) <= 250 + 100, 'what the agent does beside does not keep changes waiting for long');
});

test('judge: only what nobody told of is a miss', () => {
  const worldOf = (...pids: number[]): Model =>
    modelOf(
      scanOf(
        new Map(
          pids.map((key) => [key, { start: 1, ppid: key === 9 ? 8 : 1, uid: 0, comm: 'a', ns: Array<number>(8).fill(0), forChildren: -1 }]),
        ),
      ),
    );
  const judge = createJudge();
  judge.begin([6]);
  judge.compare(worldOf(1, 2, 3), worldOf(1, 3, 4, 5, 6, 9));
  for (const heard of [4, 8]) judge.heard(heard);
  assert.deepEqual(
    judge.settle().map(({ pid: missed, what }) => `${missed} ${what}`),
    ['2 gone', '5 come'],
  );
  judge.begin([]);
  judge.compare(worldOf(1), worldOf(1));
  assert.deepEqual(judge.settle(), []);
});
