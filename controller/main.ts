/** `nsfleet controller`: one controller in the foreground, until a signal. */
import type { Environment } from '#shared/config.ts';
import { asNsfleetError } from '#shared/errors.ts';
import { createLog } from '#shared/log.ts';
import { readConfig } from './config.ts';
import { startController } from './start.ts';

/** Runs until `signal` aborts, then closes everything. Rejects where it cannot start. */
export async function runController(env: Environment, signal: AbortSignal): Promise<void> {
  const config = readConfig(env);
  const log = createLog('controller', config.logLevel);
  const controller = await startController(config, log);
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  if (signal.aborted) end();
  signal.addEventListener('abort', () => end(), { once: true });
  await ended;
  log.info('controller is ending');
  await controller.close();
}

if (import.meta.main) {
  const ending = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      // The second one does not wait for anything.
      if (ending.signal.aborted) process.exit(1);
      ending.abort();
    });
  }
  try {
    await runController(process.env, ending.signal);
  } catch (error) {
    const known = asNsfleetError(error, 'run', 'the controller');
    process.stderr.write(`nsfleet controller: ${known.code}: ${known.message}\n  ${known.remedy}\n`);
    process.exitCode = known.exitCode;
  }
}
