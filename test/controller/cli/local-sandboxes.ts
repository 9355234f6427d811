/** "Sandboxes" that are child processes of the test: real output, input, signals and exit codes, no isolation. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { randomUUID } from 'node:crypto';
import type { Answers } from '#controller/http/routes.ts';
import type { AgentStream, StreamEvents } from '#controller/agent-stream.ts';
import type { StreamOpener } from '#controller/sandbox/streams.ts';
import { NsfleetError } from '#shared/errors.ts';
import { initialCreditBytes, slices } from '#shared/frames.ts';
import type { FrameKind } from '#shared/frames.ts';
import type { Sandbox } from '#shared/resources.ts';
import type { ExitStatus } from '#shared/sandbox.ts';
import { isEnded, mayBecome } from '#shared/sandbox.ts';
import { signalName, signalNumber } from '#shared/signal.ts';
import type { SignalName } from '#shared/signal.ts';
import { sandboxFixture } from './fixtures.ts';

type Local = {
  sandbox: Sandbox;
  child: ChildProcess | null;
  log: { channel: 'stdout' | 'stderr'; data: Buffer }[];
  key: string | undefined;
};

export type LocalSandboxes = StreamOpener & {
  answers: Pick<Answers, 'sandboxCreate' | 'sandboxPlan' | 'sandboxList' | 'sandboxShow' | 'sandboxStop' | 'sandboxRemove'>;
  all: () => Sandbox[];
  add: (sandbox: Sandbox) => void;
  /** What to do before a create is answered: throw, or cut the connection. */
  beforeReply: { create: () => void };
  /** The next logs stream breaks after so many bytes. */
  breakLogsAfter: { bytes: number | null };
  end: () => void;
};

export function createLocalSandboxes(): LocalSandboxes {
  const known = new Map<string, Local>();
  const beforeReply = { create: () => undefined };
  const breakLogsAfter: { bytes: number | null } = { bytes: null };
  const children = new Set<ChildProcess>();

  const find = (name: string): Local => {
    const found = [...known.values()].find(({ sandbox }) => sandbox.name === name || sandbox.id.startsWith(name));
    if (found !== undefined) return found;
    throw new NsfleetError('SANDBOX_NOT_FOUND', { attempted: 'find sandbox', target: name, reason: 'there is no such sandbox' });
  };
  const start = (argv: readonly string[], env: Record<string, string>, cwd: string) => {
    const child = spawn(argv[0] ?? '', argv.slice(1), { env: { PATH: '/usr/bin:/bin', ...env }, cwd, stdio: 'pipe' });
    children.add(child);
    child.once('close', () => children.delete(child));
    return child;
  };
  const until = async (local: Local, wanted: string | undefined, waitMs: number) => {
    const end = Date.now() + waitMs;
    while (wanted !== undefined && local.sandbox.state !== wanted && !isEnded(local.sandbox.state) && Date.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return local.sandbox;
  };
  const answers: LocalSandboxes['answers'] = {
    async sandboxCreate({ body, idempotencyKey }) {
      const before = [...known.values()].find(({ key }) => key !== undefined && key === idempotencyKey);
      if (before !== undefined) return before.sandbox;
      const taken = [...known.values()].some(({ sandbox }) => sandbox.name === body.name && sandbox.state !== 'removed');
      const name = body.name ?? `calm-river-${1000 + known.size}`;
      if (taken) throw new NsfleetError('SANDBOX_NAME_TAKEN', { attempted: 'create sandbox', target: name, reason: 'the name is taken' });
      const now = new Date().toISOString();
      const { labels, autoRemove, spec } = body;
      const sandbox = sandboxFixture({ name, labels, autoRemove, spec, createdAt: now, startedAt: now });
      const local: Local = { sandbox, child: null, log: [], key: idempotencyKey };
      known.set(sandbox.id, local);
      const child = start(spec.command, spec.env, spec.cwd ?? '/');
      const failure = await once(child, 'spawn').then(
        () => null,
        (error: unknown) => error as Error,
      );
      if (failure !== null) {
        const fields = { attempted: 'start', target: spec.command[0] ?? '', reason: failure.message };
        Object.assign(sandbox, {
          state: 'failed',
          startedAt: null,
          endedAt: now,
          error: new NsfleetError('COMMAND_NOT_FOUND', fields).toWire(),
        });
      } else {
        local.child = child;
        child.stdin?.end();
        child.stdout?.on('data', (data: Buffer) => local.log.push({ channel: 'stdout', data }));
        child.stderr?.on('data', (data: Buffer) => local.log.push({ channel: 'stderr', data }));
        child.once('close', (code, signal) => {
          // What was removed while it ran ends after its removal, and stays removed.
          const state = mayBecome(sandbox.state, 'stopped') ? 'stopped' : sandbox.state;
          Object.assign(sandbox, { state, endedAt: new Date().toISOString(), exit: exitOf(code, signal) });
        });
      }
      beforeReply.create();
      return sandbox;
    },
    async sandboxPlan({ body }) {
      const scores = [{ hostId: 'h1', hostName: 'web-1', score: 0.5, parts: { spread: 0.5 } }];
      const refusals = [{ filter: 'constraint', reason: 'host.labels.zone is b', hosts: 1 }];
      const decision = { hostsSeen: 2, hostsFeasible: 1, refusals, scores, chosen: 'h1' };
      return { decision, hostName: 'web-1', idRange: null, plan: [], lines: ['mount proc', `exec ${body.spec.command.join(' ')}`] };
    },
    sandboxList: async ({ query }) => ({
      sandboxes: [...known.values()].map(({ sandbox }) => sandbox).filter(({ state }) => query.all === 'true' || !isEnded(state)),
      nextCursor: null,
    }),
    sandboxShow: async ({ params, query }) => ({ ...(await until(find(params.sandbox), query.wait, query.waitMs)), observed: null }),
    sandboxStop({ params, query, body }) {
      const local = find(params.sandbox);
      if (local.sandbox.state === 'running') {
        local.child?.kill(body.signal ?? local.sandbox.spec.stopSignal);
        local.sandbox.state = 'stopping';
      } else if (body.signal === 'SIGKILL') local.child?.kill('SIGKILL');
      return until(local, query.wait, query.waitMs);
    },
    async sandboxRemove({ params, query }) {
      const local = find(params.sandbox);
      if (!isEnded(local.sandbox.state) && query.force !== 'true') {
        throw new NsfleetError('SANDBOX_STILL_RUNNING', {
          attempted: 'remove sandbox',
          target: local.sandbox.name,
          reason: 'it is running',
        });
      }
      local.child?.kill('SIGKILL');
      local.sandbox.state = 'removed';
      return local.sandbox;
    },
  };

  const exec: StreamOpener['exec'] = async (name, request, events) => {
    const { sandbox } = find(name);
    if (sandbox.state !== 'running') {
      throw new NsfleetError('SANDBOX_NOT_RUNNING', { attempted: 'run in', target: name, reason: `it is ${sandbox.state}` });
    }
    return execStream(start(request.command, request.env, request.cwd ?? '/'), events);
  };
  const logs: StreamOpener['logs'] = async (name, { follow }, events) => {
    const local = find(name);
    const limit = breakLogsAfter.bytes;
    breakLogsAfter.bytes = null;
    return logStream(local, follow, limit, events);
  };
  return {
    answers,
    // This fleet has no hosts to run on.
    join: (host, { command }) =>
      Promise.reject(new NsfleetError('ACTION_NOT_ALLOWED', { attempted: 'run', target: `${command[0]} on ${host}`, reason: 'not here' })),
    exec,
    logs,
    all: () => [...known.values()].map(({ sandbox }) => sandbox),
    add: (sandbox) => known.set(sandbox.id, { sandbox, child: null, log: [], key: undefined }),
    beforeReply,
    breakLogsAfter,
    end: () => children.forEach((child) => child.kill('SIGKILL')),
  };
}

function execStream(child: ChildProcess, events: StreamEvents): AgentStream {
  const send = sender(events);
  let unsent = 0;
  let credit = initialCreditBytes;
  const output = (kind: 'stdout' | 'stderr') => (data: Buffer) => {
    for (const payload of slices(data)) send(kind, payload);
    unsent += data.length;
    if (unsent > initialCreditBytes) child[kind]?.pause();
  };
  child.stdout?.on('data', output('stdout'));
  child.stderr?.on('data', output('stderr'));
  child.stdin?.on('error', () => undefined);
  child.once('error', (error) => {
    const fields = { attempted: 'run', target: child.spawnfile, reason: error.message };
    send('error', json(new NsfleetError('COMMAND_NOT_FOUND', fields).toWire()));
  });
  child.once('close', (code, signal) => send('exit', json(exitOf(code, signal))));
  return {
    id: randomUUID(),
    host: { id: 'h1', name: 'web-1' },
    creditBytes: () => credit,
    send(kind, payload = new Uint8Array()) {
      if (kind === 'end') child.stdin?.end();
      if (kind === 'signal') child.kill(signalName(payload[0] ?? 0) as SignalName);
      if (kind !== 'stdin') return;
      credit -= payload.length;
      child.stdin?.write(Buffer.from(payload), () => {
        credit += payload.length;
        events.onCredit();
      });
    },
    consumed(bytes) {
      unsent -= bytes;
      if (unsent <= initialCreditBytes) for (const stream of [child.stdout, child.stderr]) stream?.resume();
    },
    close: () => void child.kill('SIGKILL'),
  };
}

function logStream(local: Local, follow: boolean, limit: number | null, events: StreamEvents): AgentStream {
  const send = sender(events);
  let told = 0;
  let bytes = 0;
  const timer = setInterval(() => {
    for (; told < local.log.length; told += 1) {
      const { channel, data } = local.log[told]!;
      const cut = limit === null ? data : data.subarray(0, limit - bytes);
      for (const payload of slices(cut)) send(channel, payload);
      bytes += cut.length;
      if (limit !== null && bytes >= limit) return broken();
    }
    if (follow && local.sandbox.exit === null) return;
    clearInterval(timer);
    send('exit', json(local.sandbox.exit ?? { code: 0, signal: null }));
  }, 5);
  const broken = () => {
    clearInterval(timer);
    events.onBroken(new NsfleetError('STREAM_BROKEN', { attempted: 'read', target: 'logs', reason: 'the test cut it' }));
  };
  return {
    id: randomUUID(),
    host: { id: 'h1', name: 'web-1' },
    creditBytes: () => 0,
    send: () => undefined,
    consumed: () => undefined,
    close: () => clearInterval(timer),
  };
}

function sender({ onFrame }: StreamEvents): (kind: FrameKind, payload: Uint8Array) => void {
  let seq = 0;
  return (kind, payload) => onFrame({ kind, seq: seq++, payload });
}

function exitOf(code: number | null, signal: NodeJS.Signals | null): ExitStatus {
  return { code, signal: signal === null ? null : signalNumber(signal as SignalName) };
}

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
