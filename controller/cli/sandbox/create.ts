/** Creating a sandbox so that a lost connection does not make a second one. */
import { randomUUID } from 'node:crypto';
import { backoffMs, sleep } from '#shared/async.ts';
import type { Client } from '#shared/client.ts';
import { NsfleetError } from '#shared/errors.ts';
import type { Sandbox } from '#shared/resources.ts';
import type { SandboxRequest } from '#shared/sandbox.ts';

/** How long a lost connection is tried again: a controller that restarts is back before that. */
const retryForMs = 20_000;
const waitMs = 30_000;

/** Creates it and waits until it runs or cannot any more. Repeats under one idempotency key where the answer may have been lost. */
export async function createSandbox(client: Client, request: SandboxRequest): Promise<Sandbox> {
  const idempotencyKey = randomUUID();
  const until = Date.now() + retryForMs;
  for (let attempt = 0; ; attempt++) {
    try {
      const sandbox = await client.call('sandboxCreate', { body: request, query: { wait: 'running', waitMs }, idempotencyKey });
      return sandbox.state === 'placed' ? await waitForStart(client, sandbox) : sandbox;
    } catch (error) {
      // Refused at the first attempt: there is no controller, and nothing was asked yet.
      if (!mayRepeat(error) || (attempt === 0 && wasRefused(error)) || Date.now() > until) throw error;
    }
    await sleep(100 + backoffMs(attempt, 100, 2000));
  }
}

async function waitForStart(client: Client, sandbox: Sandbox): Promise<Sandbox> {
  const now = await client.call('sandboxShow', { params: { sandbox: sandbox.id }, query: { wait: 'running', waitMs } });
  if (now.state !== 'placed') return now;
  throw new NsfleetError('DEADLINE_EXCEEDED', {
    attempted: 'start sandbox',
    target: now.name,
    reason: `its host ${now.hostName ?? ''} has not answered for ${(2 * waitMs) / 1000} s`,
  });
}

/** True where the request may have been done although no answer came, or where the server asks to repeat it. */
export function mayRepeat(error: unknown): boolean {
  return error instanceof NsfleetError && (error.code === 'NOT_RUNNING' || error.code === 'UNAVAILABLE' || error.code === 'STREAM_BROKEN');
}

function wasRefused(error: unknown): boolean {
  const chain: unknown[] = [];
  for (let at = error; at instanceof Error && chain.length < 5; at = at.cause) chain.push(at);
  return chain.some((at) => (at as NodeJS.ErrnoException).code === 'ECONNREFUSED');
}
