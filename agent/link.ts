/**
 * The agent's connection to NATS, and the only file of this side that imports its client. Messages are read and written here by the
 * contract of shared/messages.ts: what is too large, of an unknown version or malformed is refused with a code and counted, and
 * nothing of it gets further.
 */
import { readFile } from 'node:fs/promises';
import { AuthorizationError, ConnectionError, connect, credsAuthenticator } from 'nats';
import type { Msg, NatsConnection } from 'nats';
import { backoffMs, deadline, sleep } from '#shared/async.ts';
import { NsfleetError, asNsfleetError, errorText } from '#shared/errors.ts';
import type { Log } from '#shared/log.ts';
import { decodeMessage, decodeReply, encodeMessage, subjects } from '#shared/messages.ts';
import type { MessageOf } from '#shared/messages.ts';
import { isSafeNatsVersion, natsTooOld } from '#shared/nats-version.ts';

const connectTimeoutMs = 5000;
const firstConnectBaseMs = 250;
const firstConnectMaxMs = 10_000;
/** 10,000 agents that lost one server come back spread over five seconds (FAULTS, row 52). */
const reconnectWaitMs = 250;
const reconnectJitterMs = 4750;
/** A half-open connection is given up after 2 × 10 s (FAULTS, row 22: at most 40 s). */
const pingIntervalMs = 10_000;
const pingsOutMax = 2;
/** What was handled already takes milliseconds to flush. */
const drainMs = 2000;

type Requests = 'hello' | 'report' | 'status';
export type ReplyOf<N extends Requests> = ReturnType<typeof decodeReply<N>>;

export type Link = {
  /** Asks one controller. NATS_UNREACHABLE without a connection or where no controller listens, DEADLINE_EXCEEDED without an answer. */
  request<N extends Requests>(name: N, message: MessageOf<N>, timeoutMs: number): Promise<ReplyOf<N>>;
  /** Dropped without a connection: a beat that comes late says nothing true. */
  beat(message: MessageOf<'beat'>): void;
  /** Answers a question on this agent's own subject, never on one that the asker names. */
  answer(controllerId: string, message: MessageOf<'answer'>): void;
  /** A byte stream; `onFrame` gets what the controller sends. Throws INVALID_INPUT for an id that is no subject token. */
  stream(streamId: string, onFrame: (bytes: Uint8Array) => void): StreamLink;
  readonly connected: boolean;
  /** Refused messages by code. */
  readonly refused: ReadonlyMap<string, number>;
  /** Sends what waits, then closes. */
  close(): Promise<void>;
};

export type StreamLink = { send(frame: Uint8Array): void; close(): void };

export type LinkOptions = {
  url: string;
  hostId: string;
  credentialsFile: string;
  allowOldNats: boolean;
  log: Log;
  onDo: (message: MessageOf<'do'>) => void;
  onAsk: (message: MessageOf<'ask'>) => void;
  /** After a lost connection is back. */
  onReconnect: () => void;
};

/**
 * Tries until the server can be reached or the signal aborts; NATS_DENIED and NATS_TOO_OLD are thrown, because waiting mends
 * neither. From then on it reconnects for ever.
 */
export async function openLink(options: LinkOptions, signal: AbortSignal): Promise<Link> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await openOnce(options);
    } catch (error) {
      if (!(error instanceof NsfleetError) || error.code !== 'NATS_UNREACHABLE') throw error;
      options.log.error({ code: error.code, remedy: error.remedy }, `${error.message}; trying again`);
      await sleep(backoffMs(attempt, firstConnectBaseMs, firstConnectMaxMs), signal);
    }
  }
}

async function openOnce(options: LinkOptions): Promise<Link> {
  const { hostId, log } = options;
  const connection = await open(options);
  const refusal = checkVersion(connection, options);
  if (refusal !== null) {
    await connection.close();
    throw refusal;
  }
  const refused = new Map<string, number>();
  let connected = true;

  const hear = <N extends 'do' | 'ask'>(name: N, act: (message: MessageOf<N>) => void): void => {
    connection.subscribe(subjects.toAgent(name, hostId), {
      callback: (error, message: Msg) => {
        try {
          if (error !== null) throw error;
          act(decodeMessage(name, message.data));
        } catch (thrown) {
          const { code } = asNsfleetError(thrown, 'read message', name);
          refused.set(code, (refused.get(code) ?? 0) + 1);
          // The code and not the content: whoever sent it chose that.
          log.warn({ name, code, bytes: message.data.length }, 'refused a message');
        }
      },
    });
  };
  hear('do', options.onDo);
  hear('ask', options.onAsk);

  const watch = async (): Promise<void> => {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect' || status.type === 'staleConnection') {
        if (connected) log.warn({ server: serverOf(options) }, 'lost the NATS server, reconnecting; sandboxes run on');
        connected = false;
      } else if (status.type === 'reconnect') {
        const old = checkVersion(connection, options);
        connected = old === null;
        log[connected ? 'info' : 'error']({ server: serverOf(options) }, old?.message ?? 'reconnected to NATS');
        if (connected) options.onReconnect();
      } else if (status.type === 'error') {
        log.warn({ reason: errorText(status.error) }, 'the NATS server complains');
      }
    }
  };
  void watch();

  const isUp = (): boolean => connected && !connection.isClosed();

  return {
    get connected() {
      return isUp();
    },
    refused,
    async request(name, message, timeoutMs) {
      const unreachable = (reason: string, cause?: unknown) =>
        new NsfleetError('NATS_UNREACHABLE', {
          attempted: `send ${name} to a controller through`,
          target: serverOf(options),
          reason,
          cause,
        });
      const bytes = encodeMessage(name, message);
      if (!isUp()) throw unreachable('not connected');
      let reply: Msg;
      try {
        reply = await connection.request(subjects.fromAgent(name, hostId), bytes, { timeout: timeoutMs });
      } catch (cause) {
        throw unreachable(errorText(cause), cause);
      }
      return decodeReply(name, reply.data);
    },
    beat(message) {
      if (isUp()) connection.publish(subjects.fromAgent('beat', hostId), encodeMessage('beat', message));
    },
    answer(controllerId, message) {
      if (isUp()) connection.publish(subjects.answer(hostId, controllerId, message.requestId), encodeMessage('answer', message));
    },
    stream(streamId, onFrame) {
      const out = subjects.streamFromAgent(hostId, streamId);
      const subscription = connection.subscribe(subjects.streamToAgent(hostId, streamId), {
        callback: (error, message: Msg) => {
          if (error === null) onFrame(message.data);
        },
      });
      return {
        send: (frame) => {
          if (!connection.isClosed() && !connection.isDraining()) connection.publish(out, frame);
        },
        close: () => {
          if (!connection.isClosed() && !connection.isDraining()) subscription.unsubscribe();
        },
      };
    },
    async close() {
      if (connection.isClosed()) return;
      // Without a server there is nothing to drain into, and drain() would wait for one: also for one that dies meanwhile.
      if (connected) await deadline(connection.drain(), drainMs, 'drain', 'the NATS connection').catch(() => undefined);
      await connection.close();
    },
  };
}

async function open(options: LinkOptions): Promise<NatsConnection> {
  const credentials = await readCredentials(options.credentialsFile);
  try {
    return await connect({
      servers: options.url,
      name: `nsfleet-agent ${options.hostId}`,
      authenticator: credsAuthenticator(credentials),
      inboxPrefix: subjects.inboxPrefix(options.hostId),
      timeout: connectTimeoutMs,
      maxReconnectAttempts: -1,
      reconnectTimeWait: reconnectWaitMs,
      reconnectJitter: reconnectJitterMs,
      pingInterval: pingIntervalMs,
      maxPingOut: pingsOutMax,
      // Denied once while the server restarts says nothing about the next second.
      ignoreAuthErrorAbort: true,
    });
  } catch (cause) {
    const denied = cause instanceof AuthorizationError || (cause instanceof ConnectionError && cause.cause instanceof AuthorizationError);
    throw new NsfleetError(denied ? 'NATS_DENIED' : 'NATS_UNREACHABLE', {
      attempted: 'connect to the NATS server at',
      target: serverOf(options),
      reason: errorText(cause),
      cause,
    });
  }
}

async function readCredentials(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new NsfleetError('CONFIG_INVALID', {
      attempted: 'read the NATS credentials in',
      target: path,
      reason: errorText(cause),
      remedy: 'enrol this host with `nsfleet-agent enroll`, or name the file with NSFLEET_AGENT_CREDENTIALS',
      cause,
    });
  }
}

function checkVersion(connection: NatsConnection, options: LinkOptions): NsfleetError | null {
  const version = connection.info?.version ?? 'unknown';
  if (isSafeNatsVersion(version)) return null;
  const error = natsTooOld(serverOf(options), version);
  if (!options.allowOldNats) return error;
  options.log.warn({ version }, `${error.message}; accepted, because NSFLEET_ALLOW_OLD_NATS is set. Never do so in production`);
  return null;
}

/** The address without a user or password in it. */
function serverOf({ url }: LinkOptions): string {
  return url.replace(/\/\/[^@/]*@/, '//');
}
