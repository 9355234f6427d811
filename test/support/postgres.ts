/** A real Postgres for tests: one server for a run (test/suite.ts starts it) or for a file that is run alone, a database for each test. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { temporaryDirectories } from './dirs.ts';
import { databaseUrlFileVariable, startTestPostgres } from './postgres-server.ts';
import { afterFile } from './file-scope.ts';

/** A pool that is closed takes a moment to say goodbye. */
const connectionsGoneMs = 3000;

let server: Promise<string> | null = null;

export type FreshDatabase = { url: string; name: string; [Symbol.asyncDispose](): Promise<void> };

/**
 * An empty database of its own. Disposing of it drops it, and fails when connections to it are still open: somebody forgot to close
 * a pool or a client.
 */
export async function freshDatabase(): Promise<FreshDatabase> {
  server ??= serverUrl();
  const admin = await server;
  const name = `t_${randomBytes(6).toString('hex')}`;
  await statement(admin, `CREATE DATABASE ${name}`);
  const url = new URL(admin);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    name,
    async [Symbol.asyncDispose]() {
      const left = await connectionsLeft(admin, name);
      await statement(admin, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      assert.deepEqual(left, [], `connections to ${name} were left open`);
    },
  };
}

async function serverUrl(): Promise<string> {
  const file = process.env[databaseUrlFileVariable];
  return file === undefined ? startForThisFile() : readFileSync(file, 'utf8').trim();
}

async function startForThisFile(): Promise<string> {
  let stop = (): Promise<void> => Promise.resolve();
  // Hooks run in the order of their registration: the server ends before its directory goes.
  afterFile(() => stop());
  const started = await startTestPostgres(temporaryDirectories().root);
  stop = started.stop;
  return started.url;
}

async function connectionsLeft(admin: string, database: string): Promise<string[]> {
  const end = performance.now() + connectionsGoneMs;
  for (;;) {
    const rows = await statement(
      admin,
      `SELECT coalesce(nullif(application_name, ''), 'client') || ': ' || state || ' after ' || left(query, 120) AS line
         FROM pg_stat_activity WHERE datname = '${database}' AND backend_type = 'client backend'`,
    );
    if (rows.length === 0 || performance.now() > end) return rows.map((row) => String(row['line']));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function statement(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, application_name: 'test-support' });
  await client.connect();
  try {
    const result = await client.query<Record<string, unknown>>(text);
    return result.rows;
  } finally {
    await client.end();
  }
}
