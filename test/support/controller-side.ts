/**
 * The controller's side of the NATS contract for tests of the agent alone: it answers by the protocol, over a real server, and keeps
 * in memory what it was told. No database, no scheduler: the test is the one who decides.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect, credsAuthenticator } from 'nats';
import { decodeFrame, encodeFrame } from '#shared/frames.ts';
import type { Frame, FrameKind } from '#shared/frames.ts';
import type { Report, ReportReply } from '#shared/inventory.ts';
import { controllerQueue, decodeMessage, encodeMessage, encodeReply, hostOfSubject, subjects } from '#shared/messages.ts';
import type { Beat, MessageOf, Question } from '#shared/messages.ts';
import { SandboxSpec } from '#shared/sandbox.ts';
import type { DesiredPlacement, IdRange, PlacementStatus, SandboxSpecInput } from '#shared/sandbox.ts';
import { testIdRange } from './id-pool.ts';
import type { TestNats } from './nats.ts';

const checkout = fileURLToPath(new URL('../..', import.meta.url));
const waitMs = 20_000;

export type ControllerSide = {
  readonly hellos: MessageOf<'hello'>[];
  readonly beats: Beat[];
  readonly reports: Report[];
  /** every status that came, in order */
  readonly statuses: PlacementStatus[];
  /** newest status of each placement */
  readonly newest: ReadonlyMap<string, PlacementStatus>;
  /** What a report is answered with; `committed` for the last page of each by default. */
  answerReport: (report: Report) => ReportReply | null;
  /** false: statuses are not answered */
  answerStatuses: boolean;
  do(hostId: string, placements: DesiredPlacement[], tell?: boolean): void;
  publish(subject: string, data: Uint8Array): void;
  ask(hostId: string, question: Question): Promise<MessageOf<'answer'>>;
  /** The newest status once it satisfies `wanted`. */
  status(placementId: string, wanted: (status: PlacementStatus) => boolean): Promise<PlacementStatus>;
  stream(hostId: string): ClientStream;
  [Symbol.asyncDispose](): Promise<void>;
};

/** The reading end of an exec or log stream. */
export type ClientStream = {
  readonly id: string;
  readonly frames: Frame[];
  send(kind: FrameKind, payload?: Uint8Array, seq?: number): void;
  /** Called for each frame, after it was put into `frames`. */
  onFrame: (frame: Frame) => void;
  /** The last frame (exit or error). */
  over: Promise<Frame>;
  text(kind: 'stdout' | 'stderr'): string;
};

/** A wish that `spec.command` run, with the host's root. */
export function desired(
  command: string[],
  changes: Partial<DesiredPlacement> & { spec?: never } = {},
  spec: Partial<SandboxSpecInput> = {},
): DesiredPlacement {
  return {
    placementId: randomUUID(),
    sandboxId: randomUUID(),
    name: 'test',
    generation: 1,
    wanted: 'running',
    idRange: range(0),
    spec: SandboxSpec.parse({ command, ...spec }),
    ...changes,
  };
}

/** The n-th range of this file's; null for a plain user, whose sandboxes need none. */
export function range(n: number): IdRange | null {
  return process.getuid?.() === 0 ? testIdRange(n) : null;
}

export async function startControllerSide(nats: TestNats): Promise<ControllerSide> {
  const credentials = new TextEncoder().encode(await nats.controllerCredentials());
  const connection = await connect({ servers: nats.url, authenticator: credsAuthenticator(credentials) });
  const controllerId = randomUUID();
  const newest = new Map<string, PlacementStatus>();
  const waiters = new Set<() => void>();
  const answers = new Map<string, (answer: MessageOf<'answer'>) => void>();
  const side: ControllerSide = {
    hellos: [],
    beats: [],
    reports: [],
    statuses: [],
    newest,
    answerReport: ({ seq, page, pages }) => ({ v: 1, seq, result: page === pages - 1 ? 'committed' : 'staged' }),
    answerStatuses: true,
    do: (hostId, placements, tell = false) =>
      connection.publish(subjects.toAgent('do', hostId), encodeMessage('do', { v: 1, controllerId, hello: false, tell, placements })),
    publish: (subject, data) => connection.publish(subject, data),
    async ask(hostId, question) {
      const requestId = randomUUID();
      const { promise, resolve } = Promise.withResolvers<MessageOf<'answer'>>();
      answers.set(requestId, resolve);
      connection.publish(subjects.toAgent('ask', hostId), encodeMessage('ask', { v: 1, controllerId, requestId, question }));
      return within(promise, `an answer to ${question.type}`);
    },
    async status(placementId, wanted) {
      const { promise, resolve } = Promise.withResolvers<PlacementStatus>();
      const look = () => {
        const status = newest.get(placementId);
        if (status !== undefined && wanted(status)) resolve(status);
      };
      waiters.add(look);
      look();
      try {
        return await within(promise, `a status of ${placementId}; at the start the newest was ${JSON.stringify(newest.get(placementId))}`);
      } finally {
        waiters.delete(look);
      }
    },
    stream(hostId) {
      const id = randomUUID();
      let sent = 0;
      const over = Promise.withResolvers<Frame>();
      const stream: ClientStream = {
        id,
        frames: [],
        onFrame: () => undefined,
        over: over.promise,
        send(kind, payload, seq = sent) {
          sent = seq + 1;
          connection.publish(subjects.streamToAgent(hostId, id), encodeFrame(kind, seq, payload));
        },
        text: (kind) => Buffer.concat(stream.frames.filter((frame) => frame.kind === kind).map((frame) => frame.payload)).toString(),
      };
      const subscription = connection.subscribe(subjects.streamFromAgent(hostId, id), {
        callback: (_, message) => {
          const frame = decodeFrame(message.data);
          stream.frames.push(frame);
          stream.onFrame(frame);
          if (frame.kind !== 'exit' && frame.kind !== 'error') return;
          subscription.unsubscribe();
          over.resolve(frame);
        },
      });
      return stream;
    },
    [Symbol.asyncDispose]: () => connection.close(),
  };
  const hear = (name: 'hello' | 'beat' | 'report' | 'status', act: (data: Uint8Array, subject: string) => Uint8Array | null) =>
    connection.subscribe(subjects.fromAnyAgent(name), {
      queue: controllerQueue,
      callback: (_, message) => {
        const reply = act(message.data, message.subject);
        if (reply !== null) message.respond(reply);
      },
    });
  hear('hello', (data, subject) => {
    const hello = decodeMessage('hello', data);
    assert.equal(hello.host.hostId, hostOfSubject(subject));
    side.hellos.push(hello);
    return encodeReply('hello', { v: 1, accepted: true, error: null });
  });
  hear('beat', (data) => {
    side.beats.push(decodeMessage('beat', data));
    return null;
  });
  hear('report', (data) => {
    const report = decodeMessage('report', data);
    side.reports.push(report);
    const reply = side.answerReport(report);
    return reply === null ? null : encodeReply('report', reply);
  });
  hear('status', (data) => {
    const { statuses } = decodeMessage('status', data);
    for (const status of statuses) {
      side.statuses.push(status);
      if ((newest.get(status.placementId)?.statusSeq ?? 0) < status.statusSeq) newest.set(status.placementId, status);
    }
    for (const look of waiters) look();
    if (!side.answerStatuses) return null;
    return encodeReply('status', {
      v: 1,
      results: statuses.map(({ placementId, statusSeq }) => ({ placementId, statusSeq, known: true })),
    });
  });
  connection.subscribe(subjects.answersTo(controllerId), {
    callback: (_, message) => {
      const answer = decodeMessage('answer', message.data);
      answers.get(answer.requestId)?.(answer);
      answers.delete(answer.requestId);
    },
  });
  await connection.flush();
  return side;
}

/** Disposing of it kills it, where a failed test has not ended it. */
export type AgentProcess = AsyncDisposable & {
  readonly pid: number;
  readonly hostId: string;
  /** Sends the signal and waits for the end; its exit code or signal. */
  end(signal: NodeJS.Signals): Promise<number | string>;
};

/** An agent as a process of its own, as production runs it. Resolves when it has said hello. Its log is `<root>/<host>.log`. */
export async function startAgentProcess(
  side: ControllerSide,
  nats: TestNats,
  root: string,
  hostId: string,
  env: Record<string, string> = {},
  launch: { file: string; args: readonly string[]; cwd: string } = { file: process.execPath, args: ['agent/main.ts'], cwd: checkout },
): Promise<AgentProcess> {
  const log = openSync(join(root, `${hostId}.log`), 'a', 0o600);
  const before = side.hellos.length;
  const child: ChildProcess = spawn(launch.file, launch.args, {
    cwd: launch.cwd,
    stdio: ['ignore', log, log],
    env: {
      ...process.env,
      NATS_URL: nats.url,
      NSFLEET_HOST_ID: hostId,
      NSFLEET_AGENT_CREDENTIALS: await nats.agentCredentialsFile(hostId),
      NSFLEET_AGENT_STATE: join(root, hostId),
      NSFLEET_BEAT_INTERVAL_MS: '500',
      NSFLEET_LOG_LEVEL: 'debug',
      ...env,
    },
  });
  closeSync(log);
  const exited = once(child, 'exit') as Promise<[number | null, string | null]>;
  try {
    await until('hello of the agent', () => side.hellos.length > before || child.exitCode !== null);
    assert.equal(child.exitCode, null, `the agent ended; see ${root}/${hostId}.log`);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  return {
    pid: child.pid ?? -1,
    hostId,
    async end(signal) {
      child.kill(signal);
      const [code, by] = await exited;
      return code ?? by ?? '';
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Polls until true. */
export async function until(what: string, probe: () => boolean | Promise<boolean>, ms = waitMs): Promise<void> {
  const end = performance.now() + ms;
  while (!(await probe())) {
    assert.ok(performance.now() < end, `waited ${ms} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${waitMs} ms for ${what}`)), waitMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
