/** The cgroup of one sandbox: its limits, what it uses, freezing and ending all that is in it. */
import { readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { LimitWrite, Pressure, SandboxStats } from '#shared/cgroup.ts';
import { NsfleetError, errorText } from '#shared/errors.ts';
import { sleep } from '#shared/async.ts';
import { ioTotals, keyedNumbers, oneNumber, pressureOf } from './texts.ts';

const pollMs = 2;

export class SandboxCgroup {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  get name(): string {
    return basename(this.path);
  }

  /** All of them, or SANDBOX_LIMIT_REFUSED with the one that the kernel refused; those before it hold. */
  limit(writes: readonly LimitWrite[]): void {
    for (const { file, value } of writes) {
      try {
        writeFileSync(join(this.path, file), value);
      } catch (cause) {
        throw new NsfleetError('SANDBOX_LIMIT_REFUSED', {
          attempted: 'limit',
          target: this.name,
          reason: `writing "${value}" to ${file}: ${errorText(cause)}`,
          cause,
        });
      }
    }
  }

  /** Resolves when every process is frozen, or runs again (cgroup.freeze, Linux 5.2). SANDBOX_LIMIT_REFUSED after `boundMs`. */
  async freeze(frozen: boolean, boundMs: number): Promise<void> {
    const value = frozen ? '1' : '0';
    this.limit([{ controller: 'pids', file: 'cgroup.freeze', value }]);
    const deadline = performance.now() + boundMs;
    while (this.events().get('frozen') !== Number(value)) {
      if (performance.now() > deadline) {
        const reason = `not all of its processes ${frozen ? 'froze' : 'run again'} within ${boundMs} ms`;
        throw new NsfleetError('SANDBOX_LIMIT_REFUSED', { attempted: frozen ? 'freeze' : 'thaw', target: this.name, reason });
      }
      await sleep(pollMs);
    }
  }

  get frozen(): boolean {
    return this.#read('cgroup.freeze')?.trim() === '1';
  }

  /** SIGKILL to everything in it, also to what is being forked (cgroup.kill, Linux 5.14). */
  kill(): void {
    try {
      writeFileSync(join(this.path, 'cgroup.kill'), '1');
    } catch {
      // An older kernel, or it is gone: whoever waits for the end finds out.
    }
  }

  /** Ends what is in it and takes it away; true when it is gone. */
  async remove(boundMs: number): Promise<boolean> {
    const deadline = performance.now() + boundMs;
    for (;;) {
      try {
        rmdirSync(this.path);
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
      }
      if (performance.now() > deadline) return false;
      this.kill();
      await sleep(pollMs);
    }
  }

  stats(): SandboxStats {
    const cpu = keyedNumbers(this.#read('cpu.stat') ?? '');
    const memory = this.#number('memory.current');
    const pids = this.#number('pids.current');
    const io = this.#read('io.stat');
    return {
      at: new Date().toISOString(),
      cpu: {
        usageUs: cpu.get('usage_usec') ?? 0,
        userUs: cpu.get('user_usec') ?? 0,
        systemUs: cpu.get('system_usec') ?? 0,
        throttledUs: cpu.get('throttled_usec') ?? null,
        throttledPeriods: cpu.get('nr_throttled') ?? null,
      },
      memory:
        memory === null
          ? null
          : {
              bytes: memory,
              peakBytes: this.#number('memory.peak'),
              maxBytes: this.#number('memory.max'),
              swapBytes: this.#number('memory.swap.current'),
              oomKills: keyedNumbers(this.#read('memory.events') ?? '').get('oom_kill') ?? 0,
            },
      pids: pids === null ? null : { current: pids, max: this.#number('pids.max') },
      io: io === null ? null : ioTotals(io),
      pressure: { cpu: this.#pressure('cpu'), memory: this.#pressure('memory'), io: this.#pressure('io') },
    };
  }

  events(): Map<string, number> {
    return keyedNumbers(this.#read('cgroup.events') ?? '');
  }

  #pressure(of: 'cpu' | 'memory' | 'io'): Pressure | null {
    const text = this.#read(`${of}.pressure`);
    return text === null ? null : pressureOf(text);
  }

  #number(file: string): number | null {
    return oneNumber(this.#read(file) ?? '');
  }

  /** Null: this kernel, or this cgroup, has no such file; psi may be turned off (EOPNOTSUPP). */
  #read(file: string): string | null {
    try {
      return readFileSync(join(this.path, file), 'utf8');
    } catch {
      return null;
    }
  }
}
