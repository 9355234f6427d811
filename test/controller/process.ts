/** The controller as a process, as production runs it. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestNats } from '#test/support/nats.ts';

const mainFile = fileURLToPath(new URL('../../controller/main.ts', import.meta.url));
const readyMs = 20_000;

export type ControllerProcess = {
  child: ChildProcess;
  ended: Promise<string>;
  stderr: () => string;
  /** A test that fails half-way leaves no process. */
  [Symbol.asyncDispose](): Promise<void>;
};

export type ProcessSettings = { nats: TestNats; databaseUrl: string; dir: string; env?: Record<string, string> };

/** Starts it with nothing of this process's environment but PATH. */
export function spawnController({ nats, databaseUrl, dir, env = {} }: ProcessSettings): ControllerProcess {
  const databaseUrlFile = join(dir, 'database-url');
  writeFileSync(databaseUrlFile, databaseUrl, { mode: 0o600 });
  const child = spawn(process.execPath, [mainFile], {
    cwd: '/',
    env: {
      PATH: process.env['PATH'],
      NSFLEET_TEST_FILE: process.env['NSFLEET_TEST_FILE'],
      NATS_URL: nats.url,
      NSFLEET_NATS_KEYS: nats.keysDir,
      NSFLEET_DATABASE_URL_FILE: databaseUrlFile,
      NSFLEET_API_LISTEN: '127.0.0.1:0',
      NSFLEET_API_ADDRESS_FILE: addressFile(dir),
      NSFLEET_API_TOKEN_FILE: join(dir, 'token'),
      NSFLEET_LOG_LEVEL: 'warn',
      ...env,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = once(child, 'close').then(([code, signal]) => (typeof signal === 'string' ? signal : `code ${String(code)}`));
  return {
    child,
    ended,
    stderr: () => stderr,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** The address that it wrote, and the token that it made. Fails when it ends before that. */
export async function untilServing({ ended, stderr }: ControllerProcess, dir: string): Promise<{ address: string; token: string }> {
  const over: string[] = [];
  void ended.then((how) => over.push(how));
  for (const start = performance.now(); performance.now() - start < readyMs; await sleep(20)) {
    try {
      return { address: readFileSync(addressFile(dir), 'utf8').trim(), token: readFileSync(join(dir, 'token'), 'utf8').trim() };
    } catch {
      if (over.length > 0) throw new Error(`the controller ended with ${over.join()}: ${stderr()}`);
    }
  }
  throw new Error(`the controller is not ready: ${stderr()}`);
}

function addressFile(dir: string): string {
  return join(dir, 'address');
}
