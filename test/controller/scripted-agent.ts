/**
 * An agent that speaks the real protocol over a real connection and has no kernel: a test says what becomes of a placement. Tests of
 * the real agent are in test/agent and test/e2e.
 */
import { connect, credsAuthenticator } from 'nats';
import type { NatsConnection } from 'nats';
import type { Client } from '#shared/client.ts';
import { decodeMessage, decodeReply, encodeMessage, subjects } from '#shared/messages.ts';
import type { MessageOf, Question, StatusReply } from '#shared/messages.ts';
import type { z } from 'zod';
import type { HostHello } from '#shared/host.ts';
import { placementDigest } from '#shared/placement.ts';
import type { DesiredPlacement, PlacementStatus, SandboxState, WireError } from '#shared/sandbox.ts';
import { createUserKey, credentialsText } from '#controller/credentials/users.ts';
import type { TestController } from './running.ts';

export type Script = {
  /** What becomes of a placement that is wanted running: its state, or nothing is said (null). */
  become?: (desired: DesiredPlacement) => { state: SandboxState; error?: WireError } | null;
  /** Answers a question, or throws; undefined: says nothing. */
  answer?: (question: Question, agent: ScriptedAgent) => unknown;
  /** Sees every `do`. */
  onDo?: (message: MessageOf<'do'>) => void;
};

export type ScriptedAgent = {
  hostId: string;
  connection: NatsConnection;
  /** What is held, by placement id: what a real agent would run. */
  held: Map<string, PlacementStatus>;
  hello(): Promise<void>;
  beat(digest?: string): void;
  tell(statuses: PlacementStatus[]): Promise<z.output<typeof StatusReply>>;
  /** Raw bytes as this host's message, and the reply. */
  request(name: 'hello' | 'report' | 'status', bytes: Uint8Array, timeoutMs?: number): Promise<Uint8Array>;
  [Symbol.asyncDispose](): Promise<void>;
};

export const bootId = '5b1d6a0e-0d0e-4a53-9f0a-3a6d2f1c9b11';

export function helloOf(hostId: string, change: Partial<HostHello> = {}): HostHello {
  return {
    hostId,
    bootId,
    epoch: 1,
    labels: {},
    capacity: { sandboxes: 100, idRanges: 100 },
    idPool: { start: 0x7000_0000, count: 100, size: 65_536 },
    facts: {
      kernelRelease: '6.18.0',
      architecture: 'x64',
      operatingSystem: 'a test',
      cpus: 2,
      memoryBytes: 4 * 1024 ** 3,
      agentVersion: '0.0.0',
      privileged: true,
      namespaceIds: true,
      scanSource: 'proc',
      scanSourceReason: null,
      changeSource: 'poll',
      changeSourceReason: null,
      features: null,
      missing: [],
    },
    ...change,
  };
}

/** Enrols the host through the API, connects with the credentials that come back, says hello. */
export async function startScriptedAgent(
  controller: Pick<TestController, 'client' | 'nats'>,
  hostId: string,
  script: Script = {},
  change: Partial<HostHello> = {},
): Promise<ScriptedAgent> {
  const credentials = await enroll(controller.client, hostId);
  const connection = await connect({
    servers: controller.nats.url,
    authenticator: credsAuthenticator(new TextEncoder().encode(credentials)),
    inboxPrefix: subjects.inboxPrefix(hostId),
  });
  const held = new Map<string, PlacementStatus>();
  const request: ScriptedAgent['request'] = async (name, bytes, timeoutMs = 5000) => {
    const reply = await connection.request(subjects.fromAgent(name, hostId), bytes, { timeout: timeoutMs });
    return reply.data;
  };
  const agent: ScriptedAgent = {
    hostId,
    connection,
    held,
    request,
    async hello() {
      const reply = decodeReply('hello', await request('hello', encodeMessage('hello', { v: 1, host: helloOf(hostId, change) })));
      if (!reply.accepted) throw new Error(`hello refused: ${JSON.stringify(reply.error)}`);
    },
    beat(digest = placementDigest(held.values())) {
      const beat = { v: 1 as const, hostId, bootId, epoch: change.epoch ?? 1, seq: 0, digest, placements: held.size, load1: 0 };
      connection.publish(subjects.fromAgent('beat', hostId), encodeMessage('beat', beat));
    },
    async tell(statuses) {
      const bytes = encodeMessage('status', { v: 1, hostId, bootId, epoch: change.epoch ?? 1, statuses });
      return decodeReply('status', await request('status', bytes));
    },
    async [Symbol.asyncDispose]() {
      await connection.close();
    },
  };
  connection.subscribe(subjects.toAgent('do', hostId), {
    callback: (_error, message) => {
      const told = decodeMessage('do', message.data);
      script.onDo?.(told);
      const changed = told.placements.flatMap((desired) => obey(agent, script, desired));
      // As the real agent: with `tell`, of everything that is held.
      const statuses = told.tell ? [...held.values()] : changed;
      if (statuses.length > 0) void agent.tell(statuses.slice(0, 100)).catch(() => undefined);
    },
  });
  connection.subscribe(subjects.toAgent('ask', hostId), {
    callback: (_error, message) => {
      const { controllerId, requestId, question } = decodeMessage('ask', message.data);
      const data = script.answer?.(question, agent);
      if (data === undefined) return;
      connection.publish(subjects.answer(hostId, controllerId, requestId), encodeMessage('answer', { v: 1, requestId, data, error: null }));
    },
  });
  try {
    await connection.flush();
    await agent.hello();
  } catch (error) {
    await connection.close();
    throw error;
  }
  return agent;
}

async function enroll(client: Client, hostId: string): Promise<string> {
  const key = createUserKey();
  const { jwt } = await client.call('hostEnroll', { body: { id: hostId, name: hostId, publicKey: key.publicKey } });
  return credentialsText(jwt, key.seed);
}

/** What the kernel of a real host would have made of it. */
function obey(agent: ScriptedAgent, script: Script, desired: DesiredPlacement): PlacementStatus[] {
  const before = agent.held.get(desired.placementId);
  if (before !== undefined && desired.generation < before.generation) return [];
  const next = becoming(script, desired, before);
  if (next === null) return [];
  const ran = next.state === 'running' || (before?.startedAt ?? null) !== null;
  const status: PlacementStatus = {
    placementId: desired.placementId,
    sandboxId: desired.sandboxId,
    generation: desired.generation,
    statusSeq: (before?.statusSeq ?? 0) + 1,
    state: next.state,
    initPid: next.state === 'running' ? 4000 : null,
    commandPid: next.state === 'running' ? 4001 : null,
    namespaces: [],
    exit: next.state === 'stopped' ? { code: null, signal: 15 } : null,
    error: next.error ?? null,
    lacks: [],
    observed: null,
    startedAt: ran ? (before?.startedAt ?? new Date().toISOString()) : null,
    endedAt: next.state === 'running' ? null : new Date().toISOString(),
  };
  if (next.state === 'removed') agent.held.delete(desired.placementId);
  else agent.held.set(desired.placementId, status);
  return [status];
}

function becoming(
  script: Script,
  desired: DesiredPlacement,
  before: PlacementStatus | undefined,
): { state: SandboxState; error?: WireError } | null {
  if (desired.wanted === 'removed') return { state: 'removed' };
  if (desired.wanted === 'stopped') return { state: 'stopped' };
  if (before !== undefined) return { state: before.state };
  return (script.become ?? (() => ({ state: 'running' as const })))(desired);
}
