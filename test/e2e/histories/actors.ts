/** Talks to test/fixtures/actors.c: one line, one answer. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export type Actors = AsyncDisposable & {
  /** The words behind `ok`; null where the kernel refuses. */
  tell(actor: number, ...words: (string | number)[]): Promise<string[] | null>;
};

export function startActors(program: string): Actors {
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    async tell(actor, ...words) {
      child.stdin.write(`${actor} ${words.join(' ')}\n`);
      const line = await lines.next();
      if (line.done === true) throw new Error('the program of actors ended');
      const [verdict, ...rest] = line.value.split(' ');
      return verdict === 'ok' ? rest : null;
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
  };
}
