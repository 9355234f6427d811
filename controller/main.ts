/** `nsfleet controller`: one controller in the foreground, until a signal. */
import { parseArgs } from 'node:util';
import type { Environment } from '#shared/config.ts';
import { NsfleetError, asNsfleetError, errorText } from '#shared/errors.ts';
import { failureText } from '#shared/failure-text.ts';
import { createLog } from '#shared/log.ts';
import { controllerSettings } from './cli/controller-help.ts';
import { readConfig } from './config.ts';
import { startController } from './start.ts';

const help = `Usage: nsfleet controller [--json] [--help]

Runs a controller in the foreground; --json tells a failure as JSON.
${controllerSettings}`;

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

if (import.meta.main) await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<void> {
  const ending = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      // The second one does not wait for anything.
      if (ending.signal.aborted) process.exit(1);
      ending.abort();
    });
  }
  try {
    if (readArguments(argv).help === true) process.stdout.write(help);
    else await runController(process.env, ending.signal);
  } catch (error) {
    const known = asNsfleetError(error, 'run', 'the controller');
    process.stderr.write(failureText(known, argv.includes('--json')));
    process.exitCode = known.exitCode;
  }
}

function readArguments(argv: readonly string[]): { help?: boolean; json?: boolean } {
  try {
    return parseArgs({ args: [...argv], options: { help: { type: 'boolean', short: 'h' }, json: { type: 'boolean' } } }).values;
  } catch (cause) {
    const remedy = 'see `nsfleet controller --help`';
    throw new NsfleetError('USAGE', { attempted: 'run', target: 'nsfleet controller', reason: errorText(cause), remedy, cause });
  }
}
