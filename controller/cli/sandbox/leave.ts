/** Going away in the middle of a run: nobody is left to watch the sandbox, so it must not run on unseen. */
import { deadline } from '#shared/async.ts';
import type { Client } from '#shared/client.ts';
import type { Sandbox } from '#shared/resources.ts';
import type { SignalName } from '#shared/signal.ts';

/** A terminal that was closed gives no more time than this before whatever started it may kill this process too. */
const leaveMs = 3000;
/** Between the stop signal and the kill where the sandbox is removed as well. */
const graceMs = 1000;
const waitMs = 1500;

/**
 * Asks for the stop of a sandbox that may still be in the making, and with `remove` for its removal; both go on without this process
 * once the controller has agreed. Rejects where it did not agree within 3 s.
 */
export function stopAndLeave(client: Client, placed: Promise<Sandbox>, signal: SignalName | undefined, remove: boolean): Promise<void> {
  const steps = async (): Promise<void> => {
    const params = { sandbox: (await placed).id };
    if (!remove) {
      await client.call('sandboxStop', { params, body: { signal } });
      return;
    }
    // The removal kills whatever the stop did not end.
    await client.call('sandboxStop', { params, query: { wait: 'stopped', waitMs }, body: { signal, graceMs } }).catch(() => undefined);
    await client.call('sandboxRemove', { params, query: { force: 'true', wait: 'removed', waitMs } });
  };
  return deadline(steps(), leaveMs, 'stop', 'the sandbox');
}
