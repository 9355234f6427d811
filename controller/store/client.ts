/** The way to Postgres: one pool, one listening connection, and the transaction that runs again where the server asks for it. */
import { createHash } from 'node:crypto';
import { drizzle } from 'drizzle-orm/node-postgres';
import type { NodePgQueryResultHKT } from 'drizzle-orm/node-postgres';
import { PgDialect } from 'drizzle-orm/pg-core';
import type { PgDatabase } from 'drizzle-orm/pg-core';
import type { SQL } from 'drizzle-orm';
import { Pool } from 'pg';
import type { Connection, PoolClient, QueryResult } from 'pg';
import { backoffMs, sleep } from '#shared/async.ts';
import { NsfleetError } from '#shared/errors.ts';
import type { Log } from '#shared/log.ts';
import { databaseError, isRetryable } from './database-error.ts';
import { openNotifications } from './listen.ts';
import type { Notifications } from './listen.ts';
import { createRecentRows } from './recent.ts';
import type { RecentRows } from './recent.ts';

/** The database, or a transaction in it: every verb of the store takes either. */
export type Tx = PgDatabase<NodePgQueryResultHKT>;

export type Store = {
  readonly db: Tx;
  readonly pool: Pool;
  readonly notifications: Notifications;
  readonly recent: RecentRows;
  readonly log: Log;
  /** `host:port/name`, for messages. */
  readonly address: string;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

export type StoreOptions = {
  /** `postgres://user:password@host:port/name` */
  url: string;
  log: Log;
  /** Connections beside the listening one. */
  poolSize?: number;
};

/** A controller waits for the database most of the time: ten connections keep two cores of it busy. */
const poolSizeDefault = 10;
/** How long a query waits for a free connection, and a connection for the server. */
const connectMs = 5000;
/** No query of ours takes that long; one that does has lost its server or waits for a lock that nobody gives back. */
const statementMs = 30_000;
const transactAttempts = 6;

/**
 * Connects once to see that it can. Throws DATABASE_UNREACHABLE for a wrong address, name, user or password; no message holds the
 * password.
 */
export async function openStore({ url, log, poolSize = poolSizeDefault }: StoreOptions): Promise<Store> {
  const address = addressOf(url);
  const connection = {
    connectionString: url,
    application_name: 'nsfleet',
    connectionTimeoutMillis: connectMs,
    keepAlive: true,
  };
  const pool = new Pool({
    ...connection,
    max: poolSize,
    statement_timeout: statementMs,
    idle_in_transaction_session_timeout: statementMs,
    // Statements that do not wait for each other's answers go out together: a transaction need not cost four trips.
    pipeline: true,
  });
  // An idle connection that breaks tells the pool; without a listener that would end the process.
  pool.on('error', (error) => log.warn({ error: error.message }, 'an idle database connection broke'));
  pool.on('connect', (client) => client.on('error', () => undefined));
  try {
    await pool.query('select 1');
    const notifications = await openNotifications(connection, log);
    const close = async () => {
      await notifications.close();
      if (!pool.ending) await pool.end();
    };
    return { db: drizzle(pool), pool, notifications, recent: createRecentRows(), log, address, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await pool.end();
    throw databaseError(error, 'connect to the database', address);
  }
}

/**
 * Runs `work` in one transaction (READ COMMITTED). Where the server rolled it back for another's sake (40001, 40P01) it runs again, at
 * most 6 times; nothing else is repeated, because a broken connection may hide a commit.
 */
export async function transact<T>(store: Store, work: (tx: Tx) => Promise<T>, attempted = 'write'): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await once(store, work);
    } catch (error) {
      if (!isRetryable(error) || attempt === transactAttempts) throw databaseError(error, attempted, 'in the database');
    }
    await sleep(backoffMs(attempt, 5, 200));
  }
}

/** What is known of a transaction beside its work. */
type Transaction = { client: PoolClient; begun: Promise<unknown>; committed: Promise<unknown> | null };
const transactions = new WeakMap<Tx, Transaction>();

/** drizzle's own (0.45.4) keeps the connection for ever when `begin` fails on it, and lets a failed `rollback` hide the reason. */
async function once<T>({ pool }: Store, work: (tx: Tx) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  const tx: Tx = drizzle(client);
  let broken: unknown;
  try {
    // It goes out with the first statement, whose rows nobody gets before this one's answer.
    const { transaction, working } = inOneWrite(client, () => {
      const begun: Transaction = { client, begun: answered(client.query('begin')), committed: null };
      transactions.set(tx, begun);
      return { transaction: begun, working: work(tx) };
    });
    const result = await working;
    await transaction.begun;
    await (transaction.committed ?? client.query('commit'));
    return result;
  } catch (error) {
    await client.query('rollback').catch((cause: unknown) => {
      broken = cause;
    });
    throw error;
  } finally {
    client.release(broken !== undefined);
  }
}

/** All that `send` sends before its first await, by one system call: each wakes the server's process, and costs as much as a small statement. */
function inOneWrite<T>(client: PoolClient, send: () => T): T {
  const { stream } = (client as PoolClient & { connection: Connection }).connection;
  stream.cork();
  try {
    return send();
  } finally {
    stream.uncork();
  }
}

/** Awaited later: its failure is told there, and not as nobody's. */
function answered<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

const dialect = new PgDialect();

/**
 * Runs one statement and gives its rows. The row type is the statement's word: keep both in sight of each other. The statement is prepared
 * once a connection, by a name that follows from its text: planning the larger ones takes longer than running them.
 */
export async function rowsOf<Row extends object>(tx: Tx, attempted: string, statement: SQL): Promise<Row[]> {
  try {
    const query = dialect.sqlToQuery(statement);
    const sent = tx._.session.prepareQuery(query, undefined, nameOf(query.sql), false).execute();
    const [result] = await Promise.all([sent, transactions.get(tx)?.begun]);
    return (result as QueryResult<Row>).rows;
  } catch (error) {
    throw databaseError(error, attempted, 'in the database');
  }
}

/**
 * The last statement of a transaction, and its commit behind it, in one go: the second need not wait for the answer of the first. Where the
 * statement fails, the server takes the commit for a rollback.
 */
export function finish<Row extends object>(tx: Tx, attempted: string, statement: SQL): Promise<Row[]> {
  const transaction = transactions.get(tx);
  if (transaction === undefined) throw new Error('not in a transaction');
  return inOneWrite(transaction.client, () => {
    const rows = rowsOf<Row>(tx, attempted, statement);
    transaction.committed = answered(transaction.client.query('commit'));
    return rows;
  });
}

/** PostgreSQL cuts names at 63 bytes; 128 bits of a hash do not meet by chance. */
function nameOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

function addressOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !/^postgres(?:ql)?:$/.test(parsed.protocol)) {
    throw new NsfleetError('DATABASE_UNREACHABLE', {
      attempted: 'connect to the database',
      target: 'DATABASE_URL',
      reason: 'not of the form postgres://user:password@host:port/name',
    });
  }
  return `${parsed.hostname || 'localhost'}:${parsed.port || '5432'}${parsed.pathname}`;
}
