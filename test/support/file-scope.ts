/**
 * The test file's own scope. An `after` that is registered inside of a `before` belongs to that hook and runs when it ends; registered
 * through here it runs when the file ends, wherever it was called from.
 */
import { AsyncResource } from 'node:async_hooks';
import { after } from 'node:test';

/** Made when this module is imported, which is outside of every hook. */
const file = new AsyncResource('test file');

export function afterFile(work: () => void | Promise<void>): void {
  file.runInAsyncScope(() => {
    after(work);
  });
}
