/** Creating a sandbox so that a lost connection does not make a second one. */
import { randomUUID } from 'node:crypto';
import type { Client } from '#shared/client.ts';
import type { Sandbox } from '#shared/resources.ts';
import type { SandboxRequest } from '#shared/sandbox.ts';
import { repeatWhileLost, wasRefused } from './repeat.ts';

const waitMs = 30_000;

/**
 * Creates it and answers when it is in the state `wait`, or cannot get there. Repeats under one idempotency key where the answer may
 * have been lost. With `running`, throws the host's own error where it never ran.
 */
export function createSandbox(client: Client, request: SandboxRequest, wait: 'placed' | 'running'): Promise<Sandbox> {
  const idempotencyKey = randomUUID();
  return repeatWhileLost(
    () => client.call('sandboxCreate', { body: request, query: { wait, waitMs }, idempotencyKey }),
    // Refused at the first attempt: there is no controller, and waiting for one would only hide that.
    (error, attempt) => attempt > 0 || !wasRefused(error),
  );
}

/** The sandbox when it runs, or cannot any more. DEADLINE_EXCEEDED where its host does not answer. */
export function whenStarted(client: Client, { id }: Sandbox): Promise<Sandbox> {
  return repeatWhileLost(() => client.call('sandboxShow', { params: { sandbox: id }, query: { wait: 'running', waitMs } }));
}
