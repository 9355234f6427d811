/** CPU time of the agent: all threads of this process, and its watcher of changes. */
import { readFileSync } from 'node:fs';

export type CpuClock = {
  /** Milliseconds since the last call, never negative. */
  lap(): number;
};

/** `watcherPid`: of the process that hears changes, or null. Reads procfs at each lap. */
export function createCpuClock(watcherPid: () => number | null): CpuClock {
  let ownMs = processMs();
  let watcher = { pid: 0, ms: 0 };
  return {
    lap() {
      const now = processMs();
      const pid = watcherPid() ?? 0;
      const ms = pid === 0 ? 0 : ranMs(pid);
      const spent = now - ownMs + (pid === watcher.pid ? Math.max(0, ms - watcher.ms) : 0);
      ownMs = now;
      watcher = { pid, ms };
      return spent;
    },
  };
}

function processMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** 0 where the kernel does not tell, or it has ended. */
function ranMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ', 1)[0]) / 1e6;
  } catch {
    return 0;
  }
}
