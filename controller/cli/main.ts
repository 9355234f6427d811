/** The `nsfleet` command. */
import { EventEmitter } from 'node:events';
import { runCli } from './program.ts';
import type { Reader, Terminal } from './session.ts';

/** As a process that SIGPIPE ended would exit: a reader such as `head` has seen enough. */
const brokenPipeExit = 141;

if (import.meta.main) await main();

async function main(): Promise<void> {
  const reader: Reader = new EventEmitter();
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      const exitCode = error.code === 'EPIPE' ? brokenPipeExit : 1;
      if (!reader.emit('gone', exitCode)) process.exit(exitCode);
    });
  }
  // A getter: opening standard input is left to the commands that read it, it would hold the process open.
  const terminal: Terminal = {
    get stdin() {
      return process.stdin;
    },
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    now: () => new Date(),
    signals: process,
    reader,
  };
  const code = await runCli(process.argv.slice(2), terminal);
  // Standard input that is still open (a terminal, a pipe nobody closes) must not keep a finished command.
  process.stdout.write('', () => process.exit(code));
}
