/** The bare C loop that a scan of /proc is measured against, as a process that waits between its passes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { compileBench } from './crowd.ts';

export type Floor = AsyncDisposable & {
  /** One pass; its milliseconds, by its own clock. */
  sample(): Promise<number>;
};

export async function startFloor(): Promise<Floor> {
  const child = spawn(await compileBench('floor.c'), { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  return {
    async sample() {
      const line = once(lines, 'line');
      child.stdin.write('x');
      return Number((await line)[0]);
    },
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit');
      child.stdin.end();
      await ended;
    },
  };
}
