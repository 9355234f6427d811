/** One transaction on one connection, in as few trips as its statements allow. */
import { drizzle } from 'drizzle-orm/node-postgres';
import type { Connection, Pool, PoolClient } from 'pg';
import type { Tx } from './client.ts';

/** What is known of a transaction beside its work. */
type Transaction = { client: PoolClient; begun: Promise<unknown>; committed: Promise<unknown> | null };
const transactions = new WeakMap<Tx, Transaction>();

/** drizzle's own (0.45.4) keeps the connection for ever when `begin` fails on it, and lets a failed `rollback` hide the reason. */
export async function inTransaction<T>(pool: Pool, work: (tx: Tx) => Promise<T>): Promise<T> {
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

/** Settles with the answer to `begin`; undefined outside of a transaction. */
export function begunOf(tx: Tx): Promise<unknown> | undefined {
  return transactions.get(tx)?.begun;
}

/** Sends what `last` sends, and `commit` with it. */
export function withCommit<T>(tx: Tx, last: () => Promise<T>): Promise<T> {
  const transaction = transactions.get(tx);
  if (transaction === undefined) throw new Error('not in a transaction');
  return inOneWrite(transaction.client, () => {
    const answer = last();
    transaction.committed = answered(transaction.client.query('commit'));
    return answer;
  });
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
