/** The agent's inventory and the store in one process, with nothing between reporter and transaction but a function call. */
import assert from 'node:assert/strict';
import { createChanges } from '#agent/changes/source.ts';
import { readBootId } from '#agent/fingerprint.ts';
import { createDescriber } from '#agent/inventory/describe/describe.ts';
import { createDiscovery } from '#agent/inventory/discover.ts';
import { openGenerations } from '#agent/inventory/generations.ts';
import { createReporter } from '#agent/inventory/reporter.ts';
import { createWatch } from '#agent/inventory/watch.ts';
import type { Store } from '#controller/store/client.ts';
import { applyReport } from '#controller/store/reports.ts';
import type { Native } from '#native/binding.ts';
import type { Fd } from '#native/handles.ts';
import { sleep } from '#shared/async.ts';
import { helloOf, log, readyHost, select } from '#test/controller/store/fixture.ts';
import { pictureOf } from './model.ts';
import type { Model, Picture } from './model.ts';

const hostId = 'host-1';
/** Only what is heard and what is asked for: a full scan by the clock would hide what was missed. */
const fullIntervalMs = 3_600_000;
/** The kernel ends a net namespace, and reaps, some time after the last holder is gone. */
const settleMs = 10_000;

export type Machine = AsyncDisposable & {
  /** Looks, has it committed, and compares, until the database is the model's picture; fails after 10 s. */
  settle(model: Model): Promise<void>;
};

export async function startMachine(store: Store, native: Native, program: Fd, stateDirectory: string): Promise<Machine> {
  const bootId = readBootId();
  const hello = helloOf(hostId, { bootId, epoch: 1 });
  await readyHost(store, hostId, { bootId, epoch: 1 });
  const reporter = createReporter(
    { hostId, bootId, epoch: hello.epoch },
    (report) => applyReport(store, report),
    async () => undefined,
    log,
  );
  const watch = createWatch({
    native,
    discovery: createDiscovery(native),
    changes: createChanges({ native, program, log, best: 'tracefs' }),
    generations: await openGenerations(stateDirectory, bootId),
    describer: createDescriber({ native, sandboxOf: () => null }),
    intervalMs: fullIntervalMs,
    fullIntervalMs,
    log,
    onSource: () => undefined,
    onModel: (model) => reporter.offer(model),
  });
  const end = new AbortController();
  const running = Promise.all([watch.run(end.signal), reporter.run(end.signal)]);
  return {
    async settle(model) {
      const expected = pictureOf(model);
      const deadline = performance.now() + settleMs;
      for (let pauseMs = 0; ; pauseMs = Math.min(500, pauseMs * 2 + 10)) {
        await reporter.whenCommitted(await watch.scanNow());
        const found = await readPicture(store, model, expected);
        if (performance.now() > deadline) assert.deepEqual(found, expected);
        if (JSON.stringify(found) === JSON.stringify(expected)) return;
        await sleep(pauseMs);
      }
    },
    async [Symbol.asyncDispose]() {
      end.abort();
      await running;
    },
  };
}

type Row = { name: string; current: boolean; processes: number; holders: string[] };

/** In the order of `like`, so that equal pictures are equal texts. A namespace that was never seen, between two looks, has ended all the same. */
async function readPicture(store: Store, { spaces }: Model, like: Picture): Promise<Picture> {
  const rows = await select<Row>(
    store,
    `select n.type || ' ' || n.key as name, n.ended_at = 'infinity' as current, n.process_count as processes,
       coalesce((select array_agg(h.kind || ' ' || case h.kind when 'mount' then h.path when 'thread' then h.tid::text when 'fd' then h.pid || ' ' || h.fd
           when 'owner' then (select o.type || ' ' || o.key from namespaces_current o where o.id = h.by_namespace_id)
           else coalesce(h.pid::text, '') end)
         from holders h where h.namespace_id = n.id), '{}') as holders
     from namespaces n where n.key = any($1)`,
    [spaces.map(({ key }) => key)],
  );
  assert.equal(new Set(rows.map(({ name }) => name)).size, rows.length, 'a namespace is one row');
  const current = new Map(rows.filter((row) => row.current).map((row) => [row.name, row]));
  const names = [...new Set([...Object.keys(like.alive), ...current.keys()])];
  const alive: Picture['alive'] = {};
  for (const name of names) {
    const row = current.get(name);
    if (row === undefined) continue;
    const inside = row.holders.filter((holder) => holder.startsWith('process ')).length;
    alive[name] = [...row.holders, ...(row.processes === inside ? [] : [`process_count ${row.processes}`])].toSorted();
  }
  const ended = spaces.map(({ type, key }) => `${type} ${key}`).filter((name) => !current.has(name));
  return { alive, ended: ended.toSorted() };
}
