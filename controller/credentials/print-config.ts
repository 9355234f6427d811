/** `nsfleet nats config`: what a nats-server that already runs must load to trust this fleet. The keys are made if there are none. */
import { join } from 'node:path';
import { directories } from '#shared/config.ts';
import { asNsfleetError } from '#shared/errors.ts';
import { failureText } from '#shared/failure-text.ts';
import { ensureNatsKeys } from './keys.ts';
import { serverConfig } from './server-config.ts';

const json = process.argv.includes('--json');
try {
  const dir = process.env['NSFLEET_NATS_KEYS'] || join(directories(process.env).config, 'nats');
  // Where it listens is its owner's to choose; this is the server's own default.
  const config = await serverConfig(ensureNatsKeys(dir), { host: '0.0.0.0', port: 4222 });
  process.stdout.write(json ? `${JSON.stringify({ config })}\n` : config);
} catch (error) {
  const failure = asNsfleetError(error, 'print the configuration of', 'a NATS server');
  process.stderr.write(failureText(failure, json));
  process.exitCode = failure.exitCode;
}
