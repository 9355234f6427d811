/** The two ways of a report to the database: the store's verb in this process, or NATS and a controller of its own process. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Store } from '#controller/store/client.ts';
import { applyReport } from '#controller/store/reports.ts';
import { createClient } from '#shared/client.ts';
import type { HostHello } from '#shared/host.ts';
import { Report } from '#shared/inventory.ts';
import { decodeReply, encodeMessage } from '#shared/messages.ts';
import { pagesOf } from '#agent/inventory/pages.ts';
import { spawnController, untilServing } from '#test/controller/process.ts';
import { helloOf, startScriptedAgent } from '#test/controller/scripted-agent.ts';
import { readyHost } from '#test/controller/store/fixture.ts';
import { startTestNats } from '#test/support/nats.ts';

export type IngestWay = AsyncDisposable & {
  name: string;
  /** Of the process whose CPU is the controller's; null: this one, which also makes the reports. */
  controller: number | null;
  /** Makes the host known. */
  enrol(hostId: string): Promise<HostHello>;
  /** The answer to the last page. */
  send(report: Report): Promise<string>;
};

/** Encoded and parsed on the way, as a message is. */
export function throughStore(store: Store): IngestWay {
  return {
    name: 'the store alone',
    controller: null,
    enrol: (hostId) => readyHost(store, hostId),
    send: async (report) => (await applyReport(store, Report.parse(JSON.parse(JSON.stringify(report))))).result,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

const answerMs = 60_000;

export async function throughController(databaseUrl: string, root: string): Promise<IngestWay> {
  await using opened = new AsyncDisposableStack();
  const dir = join(root, 'controller');
  mkdirSync(dir);
  const nats = opened.use(await startTestNats(root));
  const controller = opened.use(spawnController({ nats, databaseUrl, dir }));
  const { address, token } = await untilServing(controller, dir);
  const client = createClient(address, token);
  const agents = new Map<string, Awaited<ReturnType<typeof startScriptedAgent>>>();
  opened.defer(async () => void (await Promise.all([...agents.values()].map((agent) => agent[Symbol.asyncDispose]()))));
  const all = opened.move();
  return {
    name: 'NATS and the controller',
    controller: controller.child.pid ?? 0,
    async enrol(hostId) {
      agents.set(hostId, await startScriptedAgent({ client, nats }, hostId));
      return helloOf(hostId);
    },
    async send(report) {
      const pages = pagesOf(report.rows);
      let result = 'none';
      for (const [page, rows] of pages.entries()) {
        const bytes = encodeMessage('report', { ...report, page, pages: pages.length, rows });
        const reply = await agents.get(report.hostId)?.request('report', bytes, answerMs);
        if (reply !== undefined) ({ result } = decodeReply('report', reply));
      }
      return result;
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
