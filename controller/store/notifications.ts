/** Waiting for a change: woken by the database, by this process, and by a timer where both were missed. */
import { sql } from 'drizzle-orm';
import { NsfleetError } from '#shared/errors.ts';
import type { Sandbox } from '#shared/resources.ts';
import type { Store } from './client.ts';
import type { ChangeKind, ChangeListener } from './listen.ts';
import { sandboxOf, sandboxRows } from './sandbox-row.ts';

/** A wake-up that was lost costs no more than that. */
const lookAgainMs = 1000;

/** Calls `listener` after every change of that kind, of any controller; the returned function ends that. */
export function onChange(store: Store, kind: ChangeKind, listener: ChangeListener): () => void {
  return store.notifications.onChange(kind, listener);
}

/** How long to wait, and what ends it early. `toldOfAll`: whatever `isDone` could be true of comes after this call, so nobody need look. */
export type SandboxWait = { ms: number; signal?: AbortSignal | undefined; toldOfAll?: boolean };

/**
 * The sandbox as soon as `isDone` of it. DEADLINE_EXCEEDED after `ms` milliseconds, SANDBOX_NOT_FOUND where there is none, the signal's
 * reason where it aborts first. Where this process writes the change itself, the waiter has it without asking the database.
 */
export async function waitForSandbox(
  store: Store,
  sandboxId: string,
  isDone: (sandbox: Sandbox) => boolean,
  { ms, signal, toldOfAll = false }: SandboxWait,
): Promise<Sandbox> {
  const { promise: told, resolve: tell } = Promise.withResolvers<Sandbox>();
  let wake = Promise.withResolvers<void>();
  const stopListening = store.notifications.onChange('sandbox', (id, sandbox) => {
    if (id !== null && id !== sandboxId) return;
    if (sandbox === undefined) wake.resolve();
    else if (isDone(sandbox)) tell(sandbox);
  });
  const late = AbortSignal.timeout(ms);
  const ending = signal === undefined ? late : AbortSignal.any([late, signal]);
  const ended = Promise.withResolvers<null>();
  ending.addEventListener('abort', () => ended.resolve(null), { once: true });
  try {
    for (let look = !toldOfAll; ; look = true) {
      wake = Promise.withResolvers();
      const now = look ? await Promise.race([told, read(store, sandboxId), ended.promise]) : null;
      if (now !== null && isDone(now)) return now;
      signal?.throwIfAborted();
      if (late.aborted) throw tooLate(sandboxId, ms);
      const timer = Promise.withResolvers<void>();
      const lookAgain = setTimeout(timer.resolve, lookAgainMs);
      const first = await Promise.race([told, wake.promise, timer.promise, ended.promise]);
      clearTimeout(lookAgain);
      if (first) return first;
    }
  } finally {
    stopListening();
  }
}

async function read(store: Store, sandboxId: string): Promise<Sandbox> {
  const [row] = await sandboxRows(store.db, 'find sandbox', sql`s.id = ${sandboxId}::uuid and not p.superseded`);
  if (row !== undefined) return sandboxOf(row);
  throw new NsfleetError('SANDBOX_NOT_FOUND', { attempted: 'wait for sandbox', target: sandboxId, reason: 'there is none of that id' });
}

function tooLate(target: string, ms: number): NsfleetError {
  return new NsfleetError('DEADLINE_EXCEEDED', { attempted: 'wait for sandbox', target, reason: `it did not get there within ${ms} ms` });
}
