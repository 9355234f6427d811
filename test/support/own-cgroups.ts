/** The cgroups of the agents that this test file starts: below a directory of its own at the top of cgroup v2. */
import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

const parentOf = (pid: number): string => `nsfleet-test-${pid.toString(36)}`;
const parent = parentOf(process.pid);

/** For the environment of every agent. */
export const cgroupVariable = { NSFLEET_AGENT_CGROUP: parent } as const;

/** The first that there is: as the agent finds it on this machine, and in the guest. */
function top(pid: number): string | null {
  const mount = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((path) => existsSync(join(path, 'cgroup.procs')));
  return mount === undefined || !existsSync(join(mount, parentOf(pid))) ? null : join(mount, parentOf(pid));
}

/** All of those of the test file that has this pid, a level's own before those below it. */
export function ownCgroups(pid = process.pid): string[] {
  const first = top(pid);
  if (first === null) return [];
  const below = readdirSync(first, { recursive: true, withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [first, ...below.map((entry) => join(entry.parentPath, entry.name)).toSorted()];
}

/** What a killed agent of that test file left for its next start, which never came. One that something runs in stays, and is a leak. */
export function removeEmptyCgroups(pid = process.pid): void {
  for (const path of ownCgroups(pid).toReversed()) {
    try {
      rmdirSync(path);
    } catch {
      // In use.
    }
  }
}
