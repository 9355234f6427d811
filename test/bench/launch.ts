/** Starts a peer as cheaply as we start our own shim, and takes the times of its payload's first byte and of the end of it all. */
import { closeSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Native } from '#native/binding.ts';
import { Fd } from '#native/handles.ts';

export type Launch = { firstByteMs: number; endedMs: number };

/** Each program sealed once, outside of the measured time, as the agent seals the shim. */
export type Launcher = Disposable & { launch(argv: readonly string[]): Promise<Launch> };

export function createLauncher(native: Native): Launcher {
  const programs = new Map<string, Fd>();
  const nothing = new Fd(openSync('/dev/null', 'r+'));
  const programOf = (path: string): Fd => {
    const known = programs.get(path) ?? native.sealProgram(path);
    programs.set(path, known);
    return known;
  };
  return {
    async launch(argv) {
      const program = programOf(argv[0] ?? '');
      const out = native.pipe();
      const began = performance.now();
      const child = native.spawn({ program, args: [...argv], fds: [nothing, out.write, nothing], newSession: true });
      out.write.close();
      const launched = await listen(out.read.take(), began);
      let exit = child.wait();
      while (exit === null) {
        await new Promise((resolve) => setImmediate(resolve));
        exit = child.wait();
      }
      child.close();
      if (exit.code !== 0 || Number.isNaN(launched.firstByteMs))
        throw new Error(`${argv.join(' ')}: code ${exit.code}, signal ${exit.signal}, and no output`);
      return { firstByteMs: launched.firstByteMs, endedMs: performance.now() - began };
    },
    [Symbol.dispose]() {
      for (const program of programs.values()) program.close();
      closeSync(nothing.take());
    },
  };
}

function listen(fd: number, began: number): Promise<{ firstByteMs: number }> {
  return new Promise((resolve, reject) => {
    const socket = new Socket({ fd, readable: true, writable: false });
    let firstByteMs = Number.NaN;
    socket.on('data', () => {
      if (Number.isNaN(firstByteMs)) firstByteMs = performance.now() - began;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve({ firstByteMs }));
  });
}
