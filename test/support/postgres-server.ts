/** The Postgres that tests use: for a whole run (test/suite.ts) or for a file that is run alone (postgres.ts). */
import { join } from 'node:path';
import { endProcess } from '#controller/up/end.ts';
import { postgresBinaries } from '#controller/up/postgres-binaries.ts';
import { postgresGraceMs } from '#controller/up/postgres-left.ts';
import { startPostgres } from '#controller/up/postgres.ts';

/** Names a file that holds the server's address; set for all test files of a run. */
export const databaseUrlFileVariable = 'NSFLEET_TEST_DATABASE_URL_FILE';

/** A server in `root`, without fsync: what it holds is not meant to survive. */
export async function startTestPostgres(root: string): Promise<{ url: string; stop: () => Promise<void> }> {
  const cluster = {
    binaries: postgresBinaries(),
    dataDir: join(root, 'postgres'),
    passwordFile: join(root, 'postgres-password'),
    settings: { fsync: 'off', synchronous_commit: 'on', full_page_writes: 'off' },
  };
  const dirs = { runtime: join(root, 'run'), log: join(root, 'log') };
  await using opened = new AsyncDisposableStack();
  const { part, url } = await startPostgres(
    cluster,
    dirs,
    () => undefined,
    (started) => {
      opened.defer(async () => {
        await endProcess(started, 'SIGINT', postgresGraceMs);
      });
    },
  );
  opened.move();
  // Over TCP: a test may change any part of the address, and an address with a socket has its host in two places.
  const tcp = new URL(url);
  tcp.hostname = '127.0.0.1';
  tcp.search = '';
  return {
    url: tcp.href,
    async stop() {
      await endProcess(part, 'SIGINT', postgresGraceMs);
    },
  };
}
