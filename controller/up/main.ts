/** `npm start`: the whole product on this host, in the foreground until it is told to stop. Run by start.mjs. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { asNsfleetError } from '#shared/errors.ts';
import { failureText } from '#shared/failure-text.ts';
import type { Environment } from '#shared/config.ts';
import { demoSandbox } from './demo.ts';
import { endShims } from './end-shims.ts';
import { ensureDirectories } from './ensure-directories.ts';
import { endLeftovers } from './leftovers.ts';
import { takeLock } from './lock.ts';
import { missingForUser, requireNamespaces } from './namespaces-allowed.ts';
import { Parts } from './parts.ts';
import { progress } from './progress.ts';
import type { Say } from './progress.ts';
import { readUpSettings } from './settings.ts';
import type { UpSettings } from './settings.ts';
import { showStack } from './show.ts';
import { removeStackFiles } from './stack-file.ts';
import { startStack } from './stack.ts';
import type { RunningStack } from './stack.ts';
import { stopSandboxes } from './stop-sandboxes.ts';
import { stopRequests } from './stop-requests.ts';
import type { StopRequests } from './stop-requests.ts';

/** Never before the parts and all that they hold are gone. */
async function up(settings: UpSettings, env: Environment, say: Say, requests: StopRequests): Promise<void> {
  await requireNamespaces();
  ensureDirectories(settings.dirs, env);
  using _ = takeLock(settings.dirs.runtime);
  await endLeftovers(settings.files.stack, settings.dirs.runtime, say);
  const missing = missingForUser();
  if (missing !== null) say(missing);
  const parts = new Parts(settings.files.stack);
  let stack: RunningStack | null = null;
  try {
    stack = await startStack(settings, env, parts, say, requests.stop);
    const demo = await Promise.race([demoSandbox(stack.client, stack.hostId, requests.stop), parts.died]);
    await showStack(stack, settings, demo, say, requests.stop);
    if (!settings.once) {
      say('running; Ctrl-C stops all of it and keeps the data');
      await Promise.race([requests.stopped, parts.died]);
    }
  } catch (error) {
    // A stop that was asked for during the start is no failure.
    if (!requests.stop.aborted) throw error;
  } finally {
    requests.begin();
    await down(settings, parts, stack, say, requests.hasten);
  }
}

async function down(settings: UpSettings, parts: Parts, stack: RunningStack | null, say: Say, hasten: AbortSignal): Promise<void> {
  if (parts.all.length > 0) say('stopping');
  if (stack !== null) await stopSandboxes(stack.client, stack.hostId, say, AbortSignal.any([hasten, parts.incomplete]));
  const stopped = await parts.stop(say, hasten);
  await endShims(settings.files.agentState, say);
  const { files, dirs } = settings;
  for (const path of [files.databaseUrl, files.apiAddress]) rmSync(path, { force: true });
  for (const name of ['nats', 'postgres']) rmSync(join(dirs.runtime, name), { recursive: true, force: true });
  removeStackFiles(files.stack);
  if (stack !== null) say('stopped; nothing is left running, the data stays');
  else if (stopped.length > 0) say(`stopped again what was started: ${stopped.join(', ')}`);
}

// A terminal or pipe that is gone must not end this: there are parts to stop.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
const startedAt = Number(process.env['NSFLEET_STARTED_AT'] ?? Date.now());
const say = progress(process.stdout, performance.now() - Math.max(0, Date.now() - startedAt));
const requests = stopRequests(process, say);
try {
  await up(readUpSettings(process.argv.slice(2), process.env), process.env, say, requests);
} catch (error) {
  const failure = asNsfleetError(error, 'run', 'npm start');
  process.stderr.write(failureText(failure, false));
  process.exitCode = failure.exitCode;
} finally {
  requests[Symbol.dispose]();
}
