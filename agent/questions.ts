/** Live questions, each answered once, with the data of its kind or with an error. */
import type { DoctorReport } from '#shared/doctor.ts';
import { NsfleetError, asNsfleetError } from '#shared/errors.ts';
import { lackText } from '#shared/lack.ts';
import type { Log } from '#shared/log.ts';
import { protocolVersion } from '#shared/messages.ts';
import type { MessageOf, Question } from '#shared/messages.ts';
import { formatPlan } from '#shared/plan-text.ts';
import { cgroupOf, previewLimits } from './sandbox/change.ts';
import { findMounts } from './inventory/find-mounts.ts';
import type { Reporter } from './inventory/reporter.ts';
import { translatePid } from './inventory/translate-pid.ts';
import type { Watch } from './inventory/watch.ts';
import type { Link } from './link.ts';
import type { Actions } from './namespaces/actions.ts';
import type { Placement } from './sandbox/placement.ts';
import type { Placements } from './sandbox/placements.ts';
import { judgedPlan } from './sandbox/judged-plan.ts';
import type { RunnerParts } from './sandbox/runner.ts';
import { readCalled } from './sandbox/seccomp/called.ts';
import { startExec } from './stream/exec.ts';
import type { OpenStream } from './stream/served-process.ts';
import { startLogs } from './stream/logs.ts';

/** Each exec is two processes and up to half a MiB of buffers. */
const streamsMax = 500;

export type QuestionParts = {
  /** The link exists once it is connected, and questions come only then. */
  link: () => Link;
  watch: Watch;
  reporter: Reporter;
  placements: Placements;
  directoryOf: (placementId: string) => string;
  runner: RunnerParts;
  actions: Actions;
  /** what this host can give, tried now */
  examine: () => Promise<DoctorReport>;
  log: Log;
};

export type Questions = {
  /** Answers by itself; never throws. */
  ask(message: MessageOf<'ask'>): void;
  /** Ends every stream. */
  close(): Promise<void>;
};

export function createQuestions(parts: QuestionParts): Questions {
  const streams = new Set<OpenStream>();

  const keep = (stream: OpenStream): object => {
    streams.add(stream);
    void stream.done.finally(() => streams.delete(stream));
    return {};
  };

  const answer = async (question: Question): Promise<object> => {
    switch (question.type) {
      case 'scan': {
        const model = await parts.watch.scanNow();
        await parts.reporter.whenCommitted(model);
        return { seq: parts.reporter.seq, namespaces: model.namespaces.size };
      }
      case 'plan': {
        const { spec, name, idRange } = question;
        using judged = await judgedPlan(parts.runner, { spec, name, idRange }, null);
        const { plan } = judged;
        const lacks = judged.lacks.map((lack) => `without     ${lackText(lack)}`);
        return { plan, lines: [...lacks, ...formatPlan(plan).trimEnd().split('\n')] };
      }
      case 'doctor':
        return parts.examine();
      case 'mounts':
        return findMounts(await parts.watch.scanNow(), question);
      case 'pids':
        return translatePid(await parts.watch.scanNow(), question.pid, question.namespace);
      case 'keep':
        return parts.actions.keep(question);
      case 'attach':
        return parts.actions.attach(question);
      case 'unkeep':
        return parts.actions.unkeep(question);
      case 'reap':
        return parts.actions.reap(question);
      case 'join':
        checkRoom(streams.size);
        return keep(await parts.actions.join(parts.link(), question));
      case 'exec':
        checkRoom(streams.size);
        return keep(await startExec(parts.runner, parts.link(), question.streamId, find(question.placementId), question.exec));
      case 'limits':
        return previewLimits(parts.runner.cgroups, find(question.placementId), question.resources);
      case 'stats':
        return cgroupOf(parts.runner.cgroups, find(question.placementId)).stats();
      case 'calls': {
        const { record } = find(question.placementId);
        const { name, spec } = record.desired;
        return readCalled(parts.directoryOf(question.placementId), spec.seccomp.profile, name);
      }
      case 'logs': {
        checkRoom(streams.size);
        const { placementId, follow, streamId } = question;
        return keep(startLogs(parts.link(), streamId, find(placementId), parts.directoryOf(placementId), follow));
      }
    }
  };

  const find = (placementId: string): Placement => {
    const placement = parts.placements.get(placementId);
    if (placement !== undefined && placement.record.state !== 'removed') return placement;
    throw new NsfleetError('SANDBOX_NOT_RUNNING', { attempted: 'find placement', target: placementId, reason: 'it is not on this host' });
  };

  const respond = async ({ controllerId, requestId, question }: MessageOf<'ask'>): Promise<void> => {
    const base = { v: protocolVersion, requestId } as const;
    try {
      parts.link().answer(controllerId, { ...base, data: await answer(question), error: null });
    } catch (error) {
      const refusal = asNsfleetError(error, 'answer', question.type);
      parts.log.debug({ question: question.type, code: refusal.code, reason: refusal.reason }, 'question refused');
      parts.link().answer(controllerId, { ...base, error: refusal.toWire() });
    }
  };

  return {
    ask(message) {
      respond(message).catch((error: unknown) => parts.log.error({ err: error }, 'a question could not be answered'));
    },
    async close() {
      const error = new NsfleetError('UNAVAILABLE', { attempted: 'serve', target: 'stream', reason: 'this agent is ending' });
      const open = [...streams];
      for (const stream of open) stream.abort(error);
      await Promise.all(open.map((stream) => stream.done));
    },
  };
}

function checkRoom(open: number): void {
  if (open < streamsMax) return;
  throw new NsfleetError('UNAVAILABLE', { attempted: 'open', target: 'stream', reason: `${streamsMax} streams are open on this host` });
}
