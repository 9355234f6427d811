/** The cgroups of the agents that this test file starts: below a directory of its own at the top of cgroup v2. */
import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

const parent = `nsfleet-test-${process.pid.toString(36)}`;

/** For the environment of every agent. */
export const cgroupVariable = { NSFLEET_AGENT_CGROUP: parent } as const;

/** The first that there is: as the agent finds it on this machine, and in the guest. */
function top(): string | null {
  const mount = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((path) => existsSync(join(path, 'cgroup.procs')));
  return mount === undefined || !existsSync(join(mount, parent)) ? null : join(mount, parent);
}

/** All of them, a level's own before those below it. */
export function ownCgroups(): string[] {
  const first = top();
  if (first === null) return [];
  const below = readdirSync(first, { recursive: true, withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [first, ...below.map((entry) => join(entry.parentPath, entry.name)).toSorted()];
}

/** What a killed agent left for its next start, which never came. One that something runs in stays, and is a leak. */
export function removeEmptyCgroups(): void {
  for (const path of ownCgroups().toReversed()) {
    try {
      rmdirSync(path);
    } catch {
      // In use.
    }
  }
}
