/**
 * An agent as the protocol has it (one report in flight, repeated until answered, a snapshot when asked), over a network that loses
 * replies and delivers again whatever it has delivered before, to either of two controllers. What was committed to the agent stays so
 * until its next report, and after two that get through (the first may be asked for the whole) the database is what the agent has.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { openStore } from '#controller/store/client.ts';
import type { Store } from '#controller/store/client.ts';
import { recordHello } from '#controller/store/hosts.ts';
import { applyReport } from '#controller/store/reports.ts';
import type { HostHello } from '#shared/host.ts';
import { noRows } from '#shared/inventory.ts';
import type { Report, ReportReply, ReportRows } from '#shared/inventory.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { freshStore, log, namespaceOf, processOf, readyHost, referenceOf, reportOf, select } from './fixture.ts';

leakCheck();

/** `given up`: the agent does not hear whether it was written, and starts anew. */
type Fate = 'through' | 'reply lost' | 'twice' | 'given up';
type Step =
  | { do: 'namespace'; id: number; count: number }
  | { do: 'process'; pid: number; start: number }
  | { do: 'reference'; fd: number; key: number }
  | { do: 'report'; pages: number; fates: Fate[] }
  | { do: 'old message'; at: number }
  | { do: 'restart'; reboot: boolean };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('namespace' as const), id: fc.nat(8), count: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('process' as const), pid: fc.integer({ min: 1, max: 6 }), start: fc.nat(2) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('reference' as const), fd: fc.integer({ min: 1, max: 6 }), key: fc.nat(3) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('report' as const),
      pages: fc.integer({ min: 1, max: 3 }),
      fates: fc.array(fc.constantFrom<Fate>('through', 'through', 'reply lost', 'twice', 'given up'), { minLength: 3, maxLength: 3 }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('old message' as const), at: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('restart' as const), reboot: fc.boolean() }) },
);

/** What the host has: process count by namespace id, start by pid, namespace by descriptor. 0 is: not there. */
type Model = { namespaces: Map<number, number>; processes: Map<number, number>; references: Map<number, number> };

class Agent {
  readonly model: Model = { namespaces: new Map(), processes: new Map(), references: new Map() };
  #hello: HostHello;
  readonly #stores: readonly Store[];
  readonly #sent: Report[] = [];
  /** What was committed by the last reply; null where the agent does not know. */
  base: Model | null = null;
  #seq = 0;
  #turn = 0;

  constructor(hello: HostHello, stores: readonly Store[]) {
    this.#hello = hello;
    this.#stores = stores;
  }

  /** Tries to bring one report through; what did not get there is part of the next one. */
  async report(pages: number, fates: readonly Fate[]): Promise<void> {
    this.#seq += 1;
    const { namespaces, processes, references } = this.model;
    const now: Model = { namespaces: new Map(namespaces), processes: new Map(processes), references: new Map(references) };
    const rows = this.base === null ? rowsOf(now) : changesOf(this.base, now);
    const whole = reportOf(this.#hello, this.#seq, this.base === null ? 'snapshot' : 'delta', rows);
    for (let page = 0; page < pages; page += 1) {
      const report = { ...whole, page, pages, rows: pageOf(rows, page, pages) };
      const reply = await this.#send(report, fates[page] ?? 'through');
      if (reply?.result === 'staged' && page < pages - 1) continue;
      this.base = reply?.result === 'committed' ? now : null;
      return;
    }
  }

  async hearAgain(at: number): Promise<void> {
    const report = this.#sent[at % Math.max(this.#sent.length, 1)];
    if (report !== undefined) await applyReport(this.#controller(), report);
  }

  async restart(reboot: boolean): Promise<void> {
    this.#hello = { ...this.#hello, epoch: this.#hello.epoch + 1, ...(reboot ? { bootId: randomUUID() } : {}) };
    if (reboot) for (const part of Object.values(this.model)) part.clear();
    this.base = null;
    this.#seq = 0;
    await recordHello(this.#controller(), this.#hello);
  }

  async #send(report: Report, fate: Fate): Promise<ReportReply | null> {
    this.#sent.push(report);
    const send = () => applyReport(this.#controller(), report);
    if (fate === 'twice') return (await Promise.all([send(), send()]))[0];
    const reply = await send();
    if (fate === 'given up') return null;
    return fate === 'reply lost' ? send() : reply;
  }

  #controller(): Store {
    this.#turn += 1;
    return this.#stores[this.#turn % this.#stores.length]!;
  }
}

function rowsOf({ namespaces, processes, references }: Model): ReportRows {
  return {
    ...noRows(),
    namespaces: [...namespaces].map(([id, processCount]) => namespaceOf('net', id, { processCount })),
    processes: [...processes].map(([pid, start]) => processOf(pid, { start: String(start) })),
    references: [...references].map(([fd, key]) => referenceOf(`fd:7:${fd}`, key, { fd })),
  };
}

function changesOf(before: Model, now: Model): ReportRows {
  const changed = (from: Map<number, number>, to: Map<number, number>) =>
    new Map([...to].filter(([key, value]) => from.get(key) !== value));
  const rows = rowsOf({
    namespaces: changed(before.namespaces, now.namespaces),
    processes: changed(before.processes, now.processes),
    references: changed(before.references, now.references),
  });
  for (const id of before.namespaces.keys()) if (!now.namespaces.has(id)) rows.namespacesGone.push({ type: 'net', key: `id:${id}` });
  for (const [pid, start] of before.processes) if (now.processes.get(pid) !== start) rows.processesGone.push({ pid, start: String(start) });
  for (const fd of before.references.keys()) if (!now.references.has(fd)) rows.referencesGone.push(`fd:7:${fd}`);
  return rows;
}

function pageOf(rows: ReportRows, page: number, pages: number): ReportRows {
  const mine = <T>(all: readonly T[]) => all.filter((_, at) => at % pages === page);
  return {
    namespaces: mine(rows.namespaces),
    namespacesGone: mine(rows.namespacesGone),
    processes: mine(rows.processes),
    processesGone: mine(rows.processesGone),
    references: mine(rows.references),
    referencesGone: mine(rows.referencesGone),
  };
}

async function inDatabase(store: Store, hostId: string): Promise<unknown> {
  const namespaces = select(
    store,
    `select key, process_count as count from namespaces where host_id = $1 and ended_at = 'infinity' order by key`,
    [hostId],
  );
  return {
    namespaces: await namespaces,
    processes: await select(store, 'select pid, start from processes where host_id = $1 order by pid', [hostId]),
    references: await select(store, 'select fd, key from reference_holders where host_id = $1 order by fd', [hostId]),
  };
}

function expected({ namespaces, processes, references }: Model): unknown {
  return {
    namespaces: [...namespaces].map(([id, count]) => ({ key: `id:${id}`, count })).sort((a, b) => (a.key < b.key ? -1 : 1)),
    processes: [...processes].map(([pid, start]) => ({ pid, start: String(start) })).sort((a, b) => a.pid - b.pid),
    references: [...references].map(([fd, key]) => ({ fd, key: `id:${key}` })).sort((a, b) => a.fd - b.fd),
  };
}

async function perform(agent: Agent, step: Step): Promise<void> {
  const { model } = agent;
  const put = (part: Map<number, number>, key: number, value: number) => void (value === 0 ? part.delete(key) : part.set(key, value));
  switch (step.do) {
    case 'namespace':
      put(model.namespaces, step.id, step.count);
      break;
    case 'process':
      put(model.processes, step.pid, step.start);
      break;
    case 'reference':
      put(model.references, step.fd, step.key);
      break;
    case 'report':
      await agent.report(step.pages, step.fates);
      break;
    case 'old message':
      await agent.hearAgain(step.at);
      break;
    case 'restart':
      await agent.restart(step.reboot);
      break;
  }
}

test('after any history the database equals the agent', { timeout: 180_000 }, async () => {
  await using fresh = await freshStore(3);
  await using second = await openStore({ url: fresh.url, log, poolSize: 3 });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (steps) => {
      const hostId = randomUUID();
      const agent = new Agent(await readyHost(fresh.store, hostId), [fresh.store, second]);
      for (const step of steps) {
        await perform(agent, step);
        if (agent.base !== null) assert.deepEqual(await inDatabase(fresh.store, hostId), expected(agent.base), 'committed is committed');
      }
      // what is asked for the whole sends it next time: two that get through settle everything
      await agent.report(1, ['through']);
      await agent.report(1, ['through']);
      assert.deepEqual(await inDatabase(fresh.store, hostId), expected(agent.model));
      const overlap = await select(
        fresh.store,
        `select a.key from namespaces a join namespaces b using (host_id, boot_id, type, key)
          where a.id < b.id and b.first_seen < a.ended_at and a.host_id = $1`,
        [hostId],
      );
      assert.deepEqual(overlap, [], 'no two intervals of one namespace overlap');
    }),
    { numRuns: 60 },
  );
});
