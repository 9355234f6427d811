/** One conversation with a shim, over its control socket or over shim.sock: bounded lines of text (native/shim/connection.h). */
import type { Socket } from 'node:net';
import { NsfleetError } from '#shared/errors.ts';
import type { ExitStatus } from '#shared/sandbox.ts';
import { exitStatus } from './exit-file.ts';

/** The shim's longest line is a failure: a step, a detail of 255 bytes and two numbers. */
const lineMaxBytes = 1024;
const answerTimeoutMs = 5000;

export type ShimFailure = { errnum: number; op: number; step: string; detail: string };

/** What a shim says by itself. */
export type ShimWord =
  | { type: 'hello'; shimPid: number; initPid: number; commandPid: number }
  /** `shim ready`: it waits for a plan */
  | { type: 'ready'; initPid: number }
  | { type: 'running'; initPid: number; commandPid: number }
  | { type: 'failed'; failure: ShimFailure }
  | { type: 'exit'; exit: ExitStatus }
  | { type: 'note'; text: string };

export type ShimLink = {
  /** To the command. SANDBOX_NOT_RUNNING where there is none any more, or the shim is gone. */
  signal(number: number): Promise<void>;
  /** Something is done in it: it is not idle. */
  active(): void;
  /** To a ready shim that was given its plan: the command may run. */
  start(): void;
  /** SIGKILL to the sandbox's init: everything in it dies. */
  kill(): void;
  /** Ends the conversation. `run` lives on, `enter` kills what it started. */
  close(): void;
};

export type ShimEar = {
  onWord(word: ShimWord): void;
  /** The other side is gone, or broke the protocol. Once, and nothing after it. Not after `close`. */
  onClose(): void;
};

/** Speaks on `socket` from now on; takes it over. */
export function openShimLink(socket: Socket, ear: ShimEar): ShimLink {
  const answers: { resolve: () => void; reject: (error: NsfleetError) => void }[] = [];
  let rest = '';
  let open = true;

  const end = (): void => {
    if (!open) return;
    open = false;
    socket.destroy();
    for (const answer of answers.splice(0)) answer.reject(notRunning('the shim is gone'));
  };
  const lose = (): void => {
    if (!open) return;
    end();
    ear.onClose();
  };
  const hear = (line: string): void => {
    if (line === 'ok') answers.shift()?.resolve();
    else if (line.startsWith('error ')) answers.shift()?.reject(notRunning(line));
    else {
      const word = parseWord(line);
      if (word === null) lose();
      else ear.onWord(word);
    }
  };
  socket.setEncoding('latin1');
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (open) hear(line);
    if (rest.length > lineMaxBytes) lose();
  });
  socket.on('close', lose);
  // A reset connection is a closed one: 'close' follows.
  socket.on('error', () => undefined);

  return {
    async signal(number) {
      if (!open) throw notRunning('the shim is gone');
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      answers.push({ resolve, reject });
      socket.write(`signal ${number}\n`);
      const timer = setTimeout(lose, answerTimeoutMs);
      await promise.finally(() => clearTimeout(timer));
    },
    active() {
      if (open) socket.write('active\n');
    },
    start() {
      if (open) socket.write('start\n');
    },
    kill() {
      if (open) socket.write('kill\n');
    },
    close: end,
  };
}

/** Null for what no shim says. */
export function parseWord(line: string): ShimWord | null {
  const [word = '', ...words] = line.split(' ');
  const number = (index: number): number => (/^-?[0-9]{1,10}$/u.test(words[index] ?? '') ? Number(words[index]) : Number.NaN);
  switch (word) {
    case 'nsfleet-shim': {
      if (words[0] !== '1' || words.length !== 4) return null;
      return allPids({ type: 'hello', shimPid: number(1), initPid: number(2), commandPid: number(3) });
    }
    case 'ready': {
      const initPid = words.length === 1 ? number(0) : Number.NaN;
      return initPid > 0 ? { type: 'ready', initPid } : null;
    }
    case 'running':
      return words.length === 2 ? allPids({ type: 'running', initPid: number(0), commandPid: number(1) }) : null;
    case 'failed': {
      const failure = { errnum: number(0), op: number(1), step: words[2] ?? '', detail: words.slice(3).join(' ') };
      return Number.isNaN(failure.errnum) || Number.isNaN(failure.op) ? null : { type: 'failed', failure };
    }
    case 'exit': {
      const exit =
        words.length >= 2 && words.length <= 4 ? exitStatus(number(0), number(1), words.length > 2 ? number(2) : 0, words[3]) : null;
      return exit === null ? null : { type: 'exit', exit };
    }
    case 'note':
      return { type: 'note', text: words.join(' ') };
    default:
      return null;
  }
}

function allPids(word: Extract<ShimWord, { commandPid: number }>): ShimWord | null {
  const pids = [word.initPid, word.commandPid, word.type === 'hello' ? word.shimPid : 1];
  return pids.every((pid) => Number.isSafeInteger(pid) && pid > 0) ? word : null;
}

function notRunning(reason: string): NsfleetError {
  return new NsfleetError('SANDBOX_NOT_RUNNING', { attempted: 'signal', target: 'the sandbox’s command', reason });
}
