/**
 * The one connection that listens. A notification only wakes: whoever is woken reads what is true. It can be lost (the connection
 * breaks, a listener comes late), so after each reconnect everybody is woken, and whoever waits has a timer too.
 *
 * The payload is `<kind> <id>`.
 */
import { Client } from 'pg';
import type { ClientConfig } from 'pg';
import { sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import { backoffMs, sleep } from '#shared/async.ts';
import { errorText } from '#shared/errors.ts';
import type { Log } from '#shared/log.ts';
import type { Sandbox } from '#shared/resources.ts';

/** `newSandbox` is one of its own, so that whoever waits for what he has just made is not woken by its making. */
export const changeKinds = ['newSandbox', 'sandbox', 'namespace', 'host', 'leak'] as const;
export type ChangeKind = (typeof changeKinds)[number];
/**
 * `id`: the sandbox's (`sandbox`, `newSandbox`), or the host's for the other kinds; null: perhaps any of them, look. `sandbox`: where this process made
 * the change, what it has become.
 */
export type ChangeListener = (id: string | null, sandbox?: Sandbox) => void;

export type Notifications = {
  /** Calls `listener` after each change; the returned function ends that. */
  onChange(kind: ChangeKind, listener: ChangeListener): () => void;
  /** Tells the listeners of this process at once, without the way through the database. */
  tell(kind: ChangeKind, id: string, sandbox?: Sandbox): void;
  close(): Promise<void>;
};

const channel = 'nsfleet';
const reconnectMinMs = 100;
const reconnectMaxMs = 5000;

/** To be selected in the transaction that changes: heard by all controllers when and if it commits. */
export function notify(kind: ChangeKind, id: SQL | string): SQL {
  return sql`pg_notify(${channel}, ${`${kind} `} || ${id})`;
}

/** Listens, and goes on doing so over broken connections until closed. */
export async function openNotifications(config: ClientConfig, log: Log): Promise<Notifications> {
  const listeners: Record<ChangeKind, Set<ChangeListener>> = {
    newSandbox: new Set(),
    sandbox: new Set(),
    namespace: new Set(),
    host: new Set(),
    leak: new Set(),
  };
  const ending = new AbortController();
  let client: Client | null = null;
  let reconnecting: Promise<void> | null = null;

  function dispatch(kind: string, id: string | null, sandbox?: Sandbox): void {
    if (!Object.hasOwn(listeners, kind)) return;
    for (const listener of listeners[kind as ChangeKind]) listener(id, sandbox);
  }

  async function listenOnce(): Promise<Client> {
    const next = new Client(config);
    next.on('error', (error) => broke(next, error));
    next.on('end', () => broke(next, null));
    next.on('notification', ({ payload = '' }) => {
      const at = payload.indexOf(' ');
      dispatch(payload.slice(0, at), payload.slice(at + 1));
    });
    try {
      await next.connect();
      await next.query(`listen ${channel}`);
      return next;
    } catch (error) {
      await next.end().catch(() => undefined);
      throw error;
    }
  }

  function broke(which: Client, error: Error | null): void {
    if (which !== client || ending.signal.aborted) return;
    reconnecting ??= reconnect(error).finally(() => {
      reconnecting = null;
    });
  }

  async function reconnect(because: Error | null): Promise<void> {
    log.warn({ error: because?.message }, 'the listening database connection broke');
    for (let attempt = 0; !ending.signal.aborted; attempt += 1) {
      try {
        client = await listenOnce();
        for (const kind of Object.keys(listeners)) dispatch(kind, null);
        log.info({ attempts: attempt + 1 }, 'listening to the database again');
        return;
      } catch (cause) {
        log.debug({ error: errorText(cause) }, 'cannot listen to the database yet');
        await sleep(backoffMs(attempt, reconnectMinMs, reconnectMaxMs), ending.signal).catch(() => undefined);
      }
    }
  }

  client = await listenOnce();
  return {
    onChange(kind, listener) {
      listeners[kind].add(listener);
      return () => void listeners[kind].delete(listener);
    },
    tell: dispatch,
    async close() {
      if (ending.signal.aborted) return;
      ending.abort();
      await reconnecting;
      await client?.end().catch(() => undefined);
    },
  };
}
