/**
 * The controller's connection to NATS, and the only file of this side that imports its client. It carries bytes; what they mean is
 * read in intake.ts, asker.ts and http/streams.ts.
 */
import { AuthorizationError, ConnectionError, connect, credsAuthenticator } from 'nats';
import type { Msg, NatsConnection } from 'nats';
import { deadline } from '#shared/async.ts';
import { NsfleetError, errorText } from '#shared/errors.ts';
import type { Log } from '#shared/log.ts';
import { isSafeNatsVersion, natsTooOld } from '#shared/nats-version.ts';

const connectTimeoutMs = 5000;
/** A fleet of controllers that lost one server comes back over a second and a half, not at once. */
const reconnectWaitMs = 250;
const reconnectJitterMs = 1250;
/** A half-open connection is given up after 2 × 10 s (FAULTS, row 22: at most 40 s). */
const pingIntervalMs = 10_000;
const pingsOutMax = 2;
/** What was handled already takes milliseconds to flush. */
const drainMs = 2000;

export type Received = {
  subject: string;
  data: Uint8Array;
  /** Where the sender wants the answer. An agent may write anything here: see intake.ts. */
  reply: string | undefined;
  /** The server's own word that nobody listens on the subject that was published to. */
  nobodyListens: boolean;
};

export type LinkState = {
  ok: boolean;
  server: string;
  version: string;
  reason: string;
  /** For how long it has been connected without a break; 0 while it is not. */
  connectedMs: number;
};

export type Link = {
  /** False where there is no connection: nothing was sent, and nothing is kept to be sent later, when it would be stale. */
  publish(subject: string, data: Uint8Array, reply?: string): boolean;
  /** Calls `onMessage` for each; with `queue`, one controller of the queue group gets it. Returns what ends it. */
  subscribe(subject: string, onMessage: (message: Received) => void, queue?: string): () => void;
  state(): LinkState;
  /** The server has seen all that was published and subscribed before. */
  flush(): Promise<void>;
  /** Handles what has arrived, then closes. */
  close(): Promise<void>;
};

export type LinkOptions = {
  url: string;
  /** Text of a credentials file. */
  credentials: string;
  name: string;
  allowOldNats: boolean;
  log: Log;
};

/** Connects once or fails with NATS_UNREACHABLE, NATS_DENIED or NATS_TOO_OLD; from then on it reconnects for ever. */
export async function openLink(options: LinkOptions): Promise<Link> {
  const { log } = options;
  const connection = await open(options);
  const refusal = checkVersion(connection, options);
  if (refusal !== null) {
    await connection.close();
    throw refusal;
  }
  let connected = true;
  let connectedAt = performance.now();
  let lastProblem = '';
  const watch = async () => {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect' || status.type === 'staleConnection') {
        connected = false;
        lastProblem = 'disconnected';
        log.warn({ server: connection.getServer() }, 'lost the NATS server, reconnecting');
      } else if (status.type === 'reconnect') {
        const old = checkVersion(connection, options);
        connected = old === null;
        connectedAt = performance.now();
        lastProblem = old?.message ?? '';
        log[old === null ? 'info' : 'error']({ server: status.server }, old?.message ?? 'reconnected to NATS');
      } else if (status.type === 'error') {
        log.warn({ error: errorText(status.error) }, 'the NATS server complains');
      }
    }
  };
  void watch();
  return {
    publish(subject, data, reply) {
      if (!connected || connection.isClosed() || connection.isDraining()) return false;
      connection.publish(subject, data, reply === undefined ? {} : { reply });
      return true;
    },
    subscribe(subject, onMessage, queue) {
      const subscription = connection.subscribe(subject, {
        ...(queue === undefined ? {} : { queue }),
        callback: (error, message) => {
          if (error === null) onMessage(received(message));
          else log.error({ subject, error: errorText(error) }, 'a NATS subscription failed');
        },
      });
      return () => {
        if (!connection.isClosed()) subscription.unsubscribe();
      };
    },
    state: () => ({
      ok: connected && !connection.isClosed(),
      server: withoutUserinfo(connection.getServer()),
      version: connection.info?.version ?? '',
      reason: lastProblem,
      connectedMs: connected ? performance.now() - connectedAt : 0,
    }),
    flush: () => connection.flush(),
    async close() {
      if (connection.isClosed()) return;
      // Without a server there is nothing to drain into, and drain() would wait for one: also for one that dies meanwhile.
      if (connected) await deadline(connection.drain(), drainMs, 'drain', 'the NATS connection').catch(() => undefined);
      await connection.close();
    },
  };
}

async function open(options: LinkOptions): Promise<NatsConnection> {
  const target = withoutUserinfo(options.url);
  try {
    return await connect({
      servers: options.url,
      name: options.name,
      authenticator: credsAuthenticator(new TextEncoder().encode(options.credentials)),
      timeout: connectTimeoutMs,
      maxReconnectAttempts: -1,
      reconnectTimeWait: reconnectWaitMs,
      reconnectJitter: reconnectJitterMs,
      pingInterval: pingIntervalMs,
      maxPingOut: pingsOutMax,
      // Denied once after a restart of the server says nothing about the next second: keep trying.
      ignoreAuthErrorAbort: true,
    });
  } catch (cause) {
    const denied = cause instanceof AuthorizationError || (cause instanceof ConnectionError && cause.cause instanceof AuthorizationError);
    throw new NsfleetError(denied ? 'NATS_DENIED' : 'NATS_UNREACHABLE', {
      attempted: 'connect to the NATS server at',
      target,
      reason: errorText(cause),
      cause,
    });
  }
}

function checkVersion(connection: NatsConnection, options: LinkOptions): NsfleetError | null {
  const version = connection.info?.version ?? 'unknown';
  if (isSafeNatsVersion(version)) return null;
  const error = natsTooOld(withoutUserinfo(options.url), version);
  if (!options.allowOldNats) return error;
  options.log.warn({ version }, `${error.message}; accepted, because NSFLEET_ALLOW_OLD_NATS is set. Never do so in production`);
  return null;
}

/** The server marks "nobody listens" by status 503 in the header of an empty message. */
function received(message: Msg): Received {
  return {
    subject: message.subject,
    data: message.data,
    // The client gives an empty text where there is none.
    reply: message.reply === '' ? undefined : message.reply,
    nobodyListens: message.data.length === 0 && message.headers?.code === 503,
  };
}

/** `nats://user:password@host` is nobody's business but the server's. */
export function withoutUserinfo(url: string): string {
  return url.replaceAll(/\/\/[^@/]*@/g, '//');
}
