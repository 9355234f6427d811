/** The way to Postgres: one pool, one listening connection, and the transaction that runs again where the server asks for it. */
import { hash } from 'node:crypto';
import { drizzle } from 'drizzle-orm/node-postgres';
import type { NodePgQueryResultHKT } from 'drizzle-orm/node-postgres';
import { PgDialect } from 'drizzle-orm/pg-core';
import type { PgDatabase } from 'drizzle-orm/pg-core';
import type { SQL } from 'drizzle-orm';
import { Pool } from 'pg';
import type { QueryResult } from 'pg';
import { backoffMs, sleep } from '#shared/async.ts';
import { NsfleetError } from '#shared/errors.ts';
import type { Log } from '#shared/log.ts';
import { databaseError, isRetryable } from './database-error.ts';
import { openNotifications } from './listen.ts';
import type { Notifications } from './listen.ts';
import { createRecentRows } from './recent.ts';
import type { RecentRows } from './recent.ts';
import { begunOf, inTransaction, withCommit } from './transaction.ts';

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
    // Statements that look at many days seem dear enough to compile, and that takes longer than to run them.
    options: '-c jit=off',
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
      return await inTransaction(store.pool, work);
    } catch (error) {
      if (!isRetryable(error) || attempt === transactAttempts) throw databaseError(error, attempted, 'in the database');
    }
    await sleep(backoffMs(attempt, 5, 200));
  }
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
    const [result] = await Promise.all([sent, begunOf(tx)]);
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
  return withCommit(tx, () => rowsOf<Row>(tx, attempted, statement));
}

/** Statements are few; texts made of many conditions are not, and must not fill the memory. */
const namesMax = 1000;
const names = new Map<string, string>();

/** PostgreSQL cuts names at 63 bytes; 128 bits of a hash do not meet by chance. Remembered: hashing costs a fifth of a small statement. */
function nameOf(text: string): string {
  const known = names.get(text);
  if (known !== undefined) return known;
  const name = hash('sha256', text).slice(0, 32);
  if (names.size === namesMax) names.clear();
  names.set(text, name);
  return name;
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
