/** Stopping this host's sandboxes through the API, before the agent goes: without it nobody would end them. */
import { sleep } from '#shared/async.ts';
import type { Client } from '#shared/client.ts';
import { errorText } from '#shared/errors.ts';
import { isEnded } from '#shared/sandbox.ts';
import type { Sandbox } from '#shared/resources.ts';
import type { Say } from './progress.ts';

/** Grace for each of them, whatever its own spec says: somebody waits at the terminal. */
const graceMs = 2000;
/** The longest that a stop waits for all of them. */
const allMs = 20_000;
const pollMs = 50;
const atOnce = 8;

/** Resolves when none runs any more, after 20 s, or when `giveUp` aborts. Never throws: what still runs is for end-shims.ts. */
export async function stopSandboxes(client: Client, hostId: string, say: Say, giveUp: AbortSignal): Promise<void> {
  const end = performance.now() + allMs;
  try {
    let running = await unfinished(client, hostId);
    if (running.length === 0) return;
    say(`stopping ${running.length === 1 ? '1 sandbox' : `${running.length} sandboxes`}`);
    await askAll(client, running);
    while (running.length > 0 && performance.now() < end && !giveUp.aborted) {
      await sleep(pollMs);
      running = await unfinished(client, hostId);
    }
    if (running.length > 0) say(`still running: ${running.map((sandbox) => sandbox.name).join(', ')}`);
  } catch (error) {
    say(`could not stop the sandboxes through the API: ${errorText(error)}`);
  }
}

async function unfinished(client: Client, hostId: string): Promise<Sandbox[]> {
  const found: Sandbox[] = [];
  for (const state of ['placed', 'running', 'paused', 'stopping'] as const) {
    const { sandboxes } = await client.call('sandboxList', { query: { host: hostId, state, limit: 1000 } });
    found.push(...sandboxes);
  }
  // One that moved on between the questions may be named twice.
  return [...new Map(found.filter((sandbox) => !isEnded(sandbox.state)).map((sandbox) => [sandbox.id, sandbox])).values()];
}

async function askAll(client: Client, sandboxes: readonly Sandbox[]): Promise<void> {
  const queue = [...sandboxes];
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      // One that ended meanwhile refuses, and that is what was wanted.
      await client.call('sandboxStop', { params: { sandbox: next.id }, query: { waitMs: 0 }, body: { graceMs } }).catch(() => undefined);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
