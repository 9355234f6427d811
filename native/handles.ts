import { closeSync } from 'node:fs';

/**
 * A file descriptor with one owner. Close it, or give it away with `take`, exactly once; a number that was closed may
 * already be somebody else's, so it is never shown again.
 */
export class Fd implements Disposable {
  #number: number;

  constructor(number: number) {
    this.#number = number;
  }

  /** For calls that take a number and do not keep it. Throws after `close` or `take`. */
  get number(): number {
    if (this.#number < 0) throw new Error('file descriptor was closed or given away');
    return this.#number;
  }

  get isOpen(): boolean {
    return this.#number >= 0;
  }

  /** Closes once; a second time does nothing. */
  close(): void {
    if (this.#number >= 0) closeSync(this.take());
  }

  /** The number for a new owner, such as net.Socket; this one forgets it. */
  take(): number {
    const number = this.number;
    this.#number = -1;
    return number;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
