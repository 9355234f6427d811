/**
 * Every test file calls `leakCheck()` first. When the file's last hook has run, nothing of it may be left: no process (with the
 * namespaces that it holds), descriptor, mount, cgroup, network link or directory. Database connections are checked by postgres.ts.
 */
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { afterFile } from './file-scope.ts';
import { footprint } from './footprint.ts';
import type { Footprint } from './footprint.ts';

/** Network namespaces are torn down by one kernel worker, keep-alive sockets close after 4 s. */
const settleMs = 6000;
const pollMs = 25;

export function leakCheck(): void {
  const marker = { variable: 'NSFLEET_TEST_FILE', value: randomUUID() };
  let start: Footprint;
  before(() => {
    process.env[marker.variable] = marker.value;
    // The first child process makes Node open descriptors that it then keeps.
    spawnSync('true');
    process.on('SIGWINCH', () => undefined).removeAllListeners('SIGWINCH');
    start = footprint(marker);
  });
  // Hooks run in the order in which they were registered: registered again from the first, the check comes after all of the file's own.
  after(() => {
    afterFile(async () => {
      const left = await settled(() => difference(start, footprint(marker)));
      assert.deepEqual(left, {}, 'this test file left something behind');
    });
  });
}

async function settled(check: () => Partial<Footprint>): Promise<Partial<Footprint>> {
  const end = performance.now() + settleMs;
  for (;;) {
    const left = check();
    if (Object.keys(left).length === 0 || performance.now() > end) return left;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

function difference(start: Footprint, now: Footprint): Partial<Footprint> {
  const left: Partial<Footprint> = {};
  for (const kind of Object.keys(now) as (keyof Footprint)[]) {
    const known = new Set(start[kind]);
    const more = now[kind].filter((line) => !known.has(line));
    if (more.length > 0) left[kind] = more;
  }
  return left;
}
