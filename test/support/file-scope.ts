/**
 * What is to be done when a test file has ended, after its own hooks. An `after` that is registered inside of a `before` belongs to
 * whatever suite happens to run that hook; what is given to `afterFile` runs when the file ends, wherever it was called from.
 */
import { AsyncResource } from 'node:async_hooks';
import { after } from 'node:test';

/**
 * What a file starts for all of its tests: disposed of when the file ends, before what is given to `afterFile`, the last first; also where
 * its set-up failed half-way or one of them cannot be disposed of. (An `after` that throws keeps those behind it from running.)
 */
export const fileResources = new AsyncDisposableStack();

const works: (() => void | Promise<void>)[] = [];

/** Runs `work` after the hooks that the file itself registers, in the order of the calls. */
export function afterFile(work: () => void | Promise<void>): void {
  works.push(work);
}

/** Made when this module is imported, outside of every hook: what is registered in here is the file's. */
const file = new AsyncResource('test file');

// The file's hooks run in the order of their registration: one that is registered by the first of them comes last.
after(() => {
  file.runInAsyncScope(() => {
    after(runAll);
  });
});

async function runAll(): Promise<void> {
  const failures: unknown[] = [];
  works.unshift(() => fileResources.disposeAsync());
  for (let work = works.shift(); work !== undefined; work = works.shift()) {
    try {
      await work();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, failures.map(String).join('\n'));
}
