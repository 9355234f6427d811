/** Says hello until a controller knows this host. */
import { backoffMs, sleep } from '#shared/async.ts';
import { errorText } from '#shared/errors.ts';
import type { HostHello } from '#shared/host.ts';
import type { Log } from '#shared/log.ts';
import type { ReplyOf } from './link.ts';

const timeoutMs = 5000;
const retryBaseMs = 100;
const retryMaxMs = 3000;
/** An unknown host stays unknown until somebody enrols it. */
const refusedMs = 15_000;

export type Greeting = {
  /** Resolves when a controller accepted this host; rejects when the signal aborts. Asked again meanwhile, it is the same greeting. */
  greet(signal: AbortSignal): Promise<void>;
};

/** `hello` gives the same object as long as nothing in it changes. */
export function createGreeting(
  hello: () => HostHello,
  send: (hello: HostHello, timeoutMs: number) => Promise<ReplyOf<'hello'>>,
  log: Log,
): Greeting {
  let greeting: Promise<void> | null = null;
  const greet = async (signal: AbortSignal): Promise<void> => {
    for (let attempt = 0; ; attempt++) {
      signal.throwIfAborted();
      let pauseMs = backoffMs(attempt, retryBaseMs, retryMaxMs);
      try {
        const said = hello();
        const reply = await send(said, timeoutMs);
        if (reply.accepted && said === hello()) return;
        if (reply.accepted) continue;
        log.error({ code: reply.error?.code, reason: reply.error?.reason }, 'no controller accepts this host');
        pauseMs = refusedMs;
      } catch (error) {
        // The first time and then now and then: a fleet whose controllers are away must not fill its disks with this.
        log[attempt % 20 === 0 ? 'warn' : 'debug']({ reason: errorText(error) }, 'no controller answered yet');
      }
      await sleep(pauseMs, signal);
    }
  };
  return {
    greet(signal) {
      greeting ??= greet(signal).finally(() => {
        greeting = null;
      });
      return greeting;
    },
  };
}
