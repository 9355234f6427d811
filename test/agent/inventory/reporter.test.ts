/** The reporter against a controller that answers, stays silent, doubts and refuses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emptyModel } from '#agent/inventory/model.ts';
import type { Model } from '#agent/inventory/model.ts';
import { createReporter } from '#agent/inventory/reporter.ts';
import type { Reporter, SendReport } from '#agent/inventory/reporter.ts';
import type { Report, ReportReply } from '#shared/inventory.ts';
import { createLog } from '#shared/log.ts';
import { until } from '#test/support/controller-side.ts';

const identity = { hostId: 'h', bootId: '00000000-0000-4000-8000-000000000000', epoch: 1 };

function modelOf(...pids: number[]): Model {
  const rows = pids.map((pid) => ({
    pid,
    start: '1',
    ppid: 1,
    uid: 0,
    comm: 'x',
    namespaces: Array.from({ length: 8 }, () => null),
    forChildren: [null, null],
  }));
  return { ...emptyModel, processes: new Map(rows.map((row) => [`${row.pid} 1`, row])) };
}

async function withReporter(
  answer: (report: Report, index: number) => ReportReply['result'] | Promise<ReportReply['result']> | Pick<ReportReply, 'result' | 'code'>,
  act: (reporter: Reporter, sent: Report[], hellos: () => number) => Promise<void>,
): Promise<void> {
  const sent: Report[] = [];
  let hellos = 0;
  let inFlight = 0;
  const send: SendReport = async (report) => {
    inFlight += 1;
    assert.equal(inFlight, 1, 'one report in flight at most');
    try {
      sent.push(report);
      const said = await answer(report, sent.length - 1);
      return { v: 1, seq: report.seq, ...(typeof said === 'string' ? { result: said } : said) };
    } finally {
      inFlight -= 1;
    }
  };
  const sayHello = async (): Promise<void> => {
    hellos += 1;
  };
  const reporter = createReporter(identity, send, sayHello, createLog('test', 'silent'));
  const ending = new AbortController();
  const running = reporter.run(ending.signal);
  try {
    await act(reporter, sent, () => hellos);
  } finally {
    ending.abort();
    await running;
  }
}

const kinds = (sent: Report[]) => sent.map(({ kind, seq }) => `${kind} ${seq}`);

test('a snapshot first, then deltas; nothing where nothing changed', () =>
  withReporter(
    () => 'committed',
    async (reporter, sent) => {
      const models = [modelOf(1, 2), modelOf(1, 2), modelOf(2, 3)];
      for (const model of models) {
        reporter.offer(model);
        await reporter.whenCommitted(model);
      }
      assert.deepEqual(kinds(sent), ['snapshot 1', 'delta 2']);
      assert.deepEqual(sent[1]?.rows.processesGone, [{ pid: 1, start: '1' }]);
      assert.deepEqual(
        sent[1]?.rows.processes.map(({ pid }) => pid),
        [3],
      );
      assert.equal(reporter.seq, 2);
    },
  ));

test('an answer that does not come: the same report again, and after that a snapshot', () =>
  withReporter(
    (_, index) => (index >= 1 && index <= 5 ? Promise.reject(new Error('timeout')) : 'committed'),
    async (reporter, sent) => {
      reporter.offer(modelOf(1));
      await until('the snapshot', () => reporter.seq === 1);
      const changed = modelOf(2);
      reporter.offer(changed);
      await reporter.whenCommitted(changed);
      assert.deepEqual(kinds(sent), ['snapshot 1', 'delta 2', 'delta 2', 'delta 2', 'delta 2', 'snapshot 3', 'snapshot 3']);
    },
  ));

test('a controller in doubt gets the whole', () =>
  withReporter(
    (_, index) => (index === 1 ? 'resync' : 'committed'),
    async (reporter, sent) => {
      reporter.offer(modelOf(1));
      await until('the snapshot', () => reporter.seq === 1);
      const changed = modelOf(1, 2);
      reporter.offer(changed);
      await reporter.whenCommitted(changed);
      assert.deepEqual(kinds(sent), ['snapshot 1', 'delta 2', 'snapshot 3']);
      assert.equal(sent[2]?.rows.processes.length, 2);
    },
  ));

test('a controller that does not know this boot, even from the whole, hears hello before the next try', () =>
  withReporter(
    (_, index) => (index < 2 ? 'resync' : 'committed'),
    async (reporter, sent, hellos) => {
      const model = modelOf(1);
      reporter.offer(model);
      await reporter.whenCommitted(model);
      assert.deepEqual(kinds(sent), ['snapshot 1', 'snapshot 2', 'snapshot 3']);
      assert.equal(hellos(), 2);
    },
  ));

test('what changes while a report is under way is one report afterwards', () =>
  withReporter(
    async () => {
      await new Promise((resolve) => setTimeout(resolve, 30));
      return 'committed' as const;
    },
    async (reporter, sent) => {
      const last = modelOf(20);
      for (let pid = 1; pid < 20; pid++) reporter.offer(modelOf(pid));
      await until('the first', () => sent.length === 1);
      for (let pid = 1; pid < 20; pid++) reporter.offer(modelOf(pid));
      reporter.offer(last);
      await reporter.whenCommitted(last);
      assert.deepEqual(kinds(sent), ['snapshot 1', 'delta 2']);
    },
  ));

test('a refusal is not repeated at once, and ends with a snapshot', () =>
  withReporter(
    (_, index) => (index === 0 ? 'refused' : 'committed'),
    async (reporter, sent) => {
      const model = modelOf(1);
      reporter.offer(model);
      await reporter.whenCommitted(model);
      assert.deepEqual(kinds(sent), ['snapshot 1', 'snapshot 2']);
    },
  ));

test('told that this host says too much, it says the same once more, later: a large snapshot begun again and again would never end', () =>
  withReporter(
    (_, index) => (index < 6 ? { result: 'refused', code: 'RATE_LIMITED' } : 'committed'),
    async (reporter, sent) => {
      const model = modelOf(1);
      reporter.offer(model);
      for (let count = 1; count <= 6; count += 1) {
        await until(`try ${count}`, () => sent.length === count);
        // No pause is begun before the answer has come.
        await new Promise((resolve) => setImmediate(resolve));
        reporter.wake();
      }
      await reporter.whenCommitted(model);
      assert.deepEqual(
        kinds(sent),
        Array.from({ length: 7 }, () => 'snapshot 1'),
      );
    },
  ));
