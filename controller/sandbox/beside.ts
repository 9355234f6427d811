/** Sandboxes that a new one joins: it can only run where they do. */
import { NsfleetError } from '#shared/errors.ts';
import type { SandboxSpec } from '#shared/sandbox.ts';
import type { Wish } from '../scheduler/feasible.ts';
import type { Tx } from '../store/client.ts';
import { findSandbox } from '../store/sandboxes.ts';

/** SANDBOX_NOT_FOUND, SANDBOX_NOT_RUNNING. Whether it still runs when it is joined, its host says. */
export async function besideOf(tx: Tx, { namespaces }: SandboxSpec): Promise<Pick<Wish, 'beside'>> {
  const names = new Set(Object.values(namespaces).flatMap((choice) => (choice.from === 'sandbox' ? [choice.name] : [])));
  const beside: { name: string; hostId: string }[] = [];
  for (const name of names) {
    const { hostId, state } = await findSandbox(tx, name);
    if (hostId === null || state !== 'running') {
      throw new NsfleetError('SANDBOX_NOT_RUNNING', { attempted: 'join namespaces of sandbox', target: name, reason: `it is ${state}` });
    }
    beside.push({ name, hostId });
  }
  return { beside };
}
