/** What is done with each message of an agent, once intake.ts has checked it. Whatever follows for the host is sent at once. */
import { protocolVersion } from '#shared/messages.ts';
import type { MessageOf } from '#shared/messages.ts';
import type { Context } from './context.ts';
import type { Hearing } from './intake.ts';
import type { SendReason } from './sender.ts';
import { applyReport } from './store/reports.ts';
import { recordBeat, recordHello } from './store/hosts.ts';
import { applyStatuses, desiredForHost } from './store/placements.ts';
import { NsfleetError } from '#shared/errors.ts';

/** A heartbeat may overtake the status of what has just changed: the digest is doubted only when it still differs after this. */
const doubtMs = 1000;
/** A host whose digest stays different is told the whole at most this often: it may be busy doing what it was told. */
const wholeIntervalMs = 3000;
/** A host that is not enrolled beats on, and is not asked with every beat. */
const helloIntervalMs = 15_000;
/** Times of the last telling are kept for as many hosts; beyond, the oldest is forgotten, and that host told once more. */
const toldMax = 50_000;

export function createHearing(context: Context): Hearing {
  const { store, sender, metrics, leaks } = context;
  const toldAt = new Map<string, number>();
  const differsSince = new Map<string, number>();

  const tellWhole = async (hostId: string, reason: SendReason) => {
    remember(toldAt, hostId, performance.now());
    differsSince.delete(hostId);
    sender.send(hostId, await desiredForHost(store.db, hostId), reason, true);
  };

  return {
    async hello({ host }) {
      const { known } = await recordHello(store, host);
      if (known) await tellWhole(host.hostId, 'hello');
      return { v: protocolVersion, accepted: known, error: known ? null : notEnrolled(host.hostId).toWire() };
    },
    async beat(beat) {
      const { hostId } = beat;
      const { known, digestMatches } = await recordBeat(store, beat);
      const now = performance.now();
      if (!known || digestMatches) {
        differsSince.delete(hostId);
        if (!known && now - (toldAt.get(hostId) ?? -Infinity) >= helloIntervalMs) {
          remember(toldAt, hostId, now);
          sender.askHello(hostId);
        }
        return null;
      }
      const since = differsSince.get(hostId);
      if (since === undefined) remember(differsSince, hostId, now);
      else if (now - since >= doubtMs && now - (toldAt.get(hostId) ?? -Infinity) >= wholeIntervalMs) await tellWhole(hostId, 'digest');
      return null;
    },
    async report(report) {
      const reply = await applyReport(store, report);
      metrics.reports.inc({ kind: report.kind, result: reply.result });
      if (reply.code !== undefined) metrics.refusedReports.inc({ code: reply.code });
      if (reply.result === 'committed') leaks.touch(report.hostId);
      return reply;
    },
    async status(message: MessageOf<'status'>) {
      const heardMs = performance.now();
      const { results, changed, followUps } = await applyStatuses(store, message.hostId, message.statuses);
      const seconds = (performance.now() - heardMs) / 1000;
      for (const { id } of changed) {
        const { state, tookMs } = message.statuses.findLast(({ sandboxId }) => sandboxId === id) ?? {};
        if (state !== undefined) metrics.statusSeconds.observe({ state }, seconds);
        if (state !== undefined && tookMs !== undefined) metrics.hostSeconds.observe({ state }, tookMs / 1000);
      }
      if (followUps.length > 0) sender.send(message.hostId, followUps, 'followUp');
      return { v: protocolVersion, results };
    },
  };
}

function notEnrolled(hostId: string): NsfleetError {
  return new NsfleetError('HOST_NOT_FOUND', {
    attempted: 'accept the agent of host',
    target: hostId,
    reason: 'it is not enrolled',
    remedy: 'enrol it: `nsfleet-agent enroll`',
  });
}

/** The newest is last; the oldest goes where there are too many. */
function remember(times: Map<string, number>, hostId: string, at: number): void {
  times.delete(hostId);
  times.set(hostId, at);
  if (times.size > toldMax) times.delete(times.keys().next().value ?? hostId);
}
