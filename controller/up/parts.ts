/** The parts that run, in the order of their start: recorded on disk at each change, watched, stopped in the order that hurts least. */
import { NsfleetError } from '#shared/errors.ts';
import { endProcess } from './end.ts';
import { partSignals } from './leftovers.ts';
import type { Part, PartName } from './part.ts';
import type { Say } from './progress.ts';
import { partDied } from './ready.ts';
import { writeStarting } from './stack-file.ts';

/** The agent goes first: it keeps the sandboxes' state by itself. Postgres last, when nobody writes any more. */
const stopOrder: readonly PartName[] = ['agent', 'controller', 'nats', 'postgres'];

export class Parts {
  readonly #stackFile: string;
  readonly #parts = new Map<PartName, Part>();
  readonly #died = Promise.withResolvers<never>();
  readonly #incomplete = new AbortController();
  #stopping = false;

  constructor(stackFile: string) {
    this.#stackFile = stackFile;
    // Whoever waits for it sees it; before that it must not end the process.
    this.#died.promise.catch(() => undefined);
  }

  get all(): Part[] {
    return [...this.#parts.values()];
  }

  /** Aborts at that moment too: the parts that are left cannot do their work. */
  get incomplete(): AbortSignal {
    return this.#incomplete.signal;
  }

  /** Rejects with CHILD_DIED when a part ends that was not told to. */
  get died(): Promise<never> {
    return this.#died.promise;
  }

  /** To be called as soon as it is started, ready or not: from here on it is stopped with the others. */
  readonly add = (part: Part): void => {
    this.#parts.set(part.name, part);
    writeStarting(this.#stackFile, this.all);
  };

  /** A part that has been ready is expected to stay. One that has ended already is told at once. */
  watch(name: PartName): void {
    const part = this.#parts.get(name);
    void part?.ended.then((how) => {
      if (this.#stopping || part === undefined || this.#parts.get(name) !== part) return;
      this.#died.reject(partDied(part, how, 'keep running'));
      this.#incomplete.abort();
    });
  }

  /** Stops all that run and resolves with their names. CHILD_DIED where even SIGKILL did not end one. `hasten` cuts every grace short. */
  async stop(say: Say, hasten: AbortSignal): Promise<PartName[]> {
    this.#stopping = true;
    const stopped: PartName[] = [];
    const stuck: string[] = [];
    for (const name of stopOrder) {
      const part = this.#parts.get(name);
      if (part === undefined) continue;
      const { signal, graceMs } = partSignals[name];
      const result = await endProcess(part, signal, graceMs, hasten);
      if (result === 'killed') say(`${name}: killed${hasten.aborted ? '' : `, as it did not end within ${graceMs / 1000} s`}`);
      if (result === 'ended' || result === 'killed') stopped.push(name);
      if (result === 'stuck') stuck.push(`${name} (process ${part.pid})`);
      this.#parts.delete(name);
    }
    if (stuck.length === 0) return stopped;
    throw new NsfleetError('CHILD_DIED', {
      attempted: 'stop',
      target: stuck.join(', '),
      reason: 'still there 5 s after SIGKILL',
      remedy: 'a process in uninterruptible sleep ends when its disk answers: look at the kernel’s log',
    });
  }
}
