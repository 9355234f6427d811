/** Commands in a guest, over the port that test/fixtures/guest/commands.c serves: its frames are written down there. */
import { once } from 'node:events';
import type { Socket } from 'node:net';

export type CommandOptions = {
  /** the checkout's directory if not given */
  cwd?: string;
  env?: Record<string, string>;
  /** after which the command's process group is killed and the result says so; 60 s if not given */
  timeoutMs?: number;
};
export type CommandResult = {
  /** null where a signal ended it */
  code: number | null;
  signal: number | null;
  stdout: string;
  stderr: string;
  timedOut: boolean;
};
export type Commands = {
  /** Resolves when the guest takes commands. */
  ready: Promise<void>;
  run: (command: readonly string[], options: Required<CommandOptions>) => Promise<CommandResult>;
  powerOff: () => void;
  /** Ends every command that still runs, and every later one, with an error. */
  fail: (reason: Error) => void;
};

const headerBytes = 12;
const payloadBytesMax = 65_536;
const sigkill = 9;

type Session = { output: Record<'O' | 'E', Buffer[]>; timedOut: boolean; end: (text: string) => void; fail: (reason: Error) => void };

export function openCommands(socket: Socket): Commands {
  const sessions = new Map<number, Session>();
  let last = 0;
  let held = Buffer.alloc(0);
  let off: Error | null = null;
  let hello: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => {
    hello = resolve;
  });

  const send = (session: number, kind: string, payload = ''): void => {
    const bytes = Buffer.from(payload);
    if (bytes.length > payloadBytesMax) throw new Error(`a command of ${bytes.length} bytes is too large for the guest`);
    const header = Buffer.alloc(headerBytes);
    [session, kind.charCodeAt(0), bytes.length].forEach((field, index) => header.writeUInt32LE(field, 4 * index));
    socket.write(Buffer.concat([header, bytes]));
  };

  const take = (number: number, kind: string, payload: Buffer): void => {
    if (kind === 'H') return hello();
    const session = sessions.get(number);
    if (kind === 'O' || kind === 'E') session?.output[kind].push(payload);
    if (kind === 'X') session?.end(payload.toString());
  };

  socket.on('data', (data: Buffer) => {
    held = Buffer.concat([held, data]);
    while (held.length >= headerBytes) {
      const size = headerBytes + held.readUInt32LE(8);
      if (held.length < size) return;
      take(held.readUInt32LE(0), String.fromCharCode(held.readUInt32LE(4)), held.subarray(headerBytes, size));
      held = held.subarray(size);
    }
  });

  const run = async (command: readonly string[], { cwd, env, timeoutMs }: Required<CommandOptions>): Promise<CommandResult> => {
    if (off !== null) throw off;
    const number = ++last;
    const output: Session['output'] = { O: [], E: [] };
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    let timer: NodeJS.Timeout | undefined;
    try {
      const text = await new Promise<string>((resolve, reject) => {
        const session: Session = { output, timedOut: false, end: resolve, fail: reject };
        sessions.set(number, session);
        timer = setTimeout(() => {
          session.timedOut = true;
          send(number, 'K', String(sigkill));
        }, timeoutMs);
        send(number, 'S', [cwd, command.length, ...command, ...variables, ''].join('\0'));
      });
      const [code = 0, signal = 0] = text.split(' ').map(Number);
      const [stdout, stderr] = [Buffer.concat(output.O).toString(), Buffer.concat(output.E).toString()];
      return { code: code < 0 ? null : code, signal: signal || null, stdout, stderr, timedOut: sessions.get(number)?.timedOut ?? false };
    } finally {
      clearTimeout(timer);
      sessions.delete(number);
    }
  };

  const fail = (reason: Error): void => {
    off = reason;
    for (const session of sessions.values()) session.fail(reason);
  };
  return { ready, run, powerOff: () => send(0, 'P'), fail };
}

/** The one connection that QEMU makes. */
export async function accepted(server: NodeJS.EventEmitter, signal: AbortSignal): Promise<Socket> {
  const [socket] = (await once(server, 'connection', { signal })) as [Socket];
  return socket;
}
