/** Id ranges for the sandboxes of one test file: files that run side by side, in this run or in another on the same machine, do not meet. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { idRangeSize } from '#shared/host.ts';

const poolStart = 1_879_048_192;
const ranges = 32;
/** As many fit into the default pool of 4,095 ranges. */
const slots = 127;

/** The first slot that nobody has, from one on that this process chooses; held, as the shim holds its ids, by an abstract socket's name. */
async function claimSlot(): Promise<number> {
  for (let tries = 0; tries < slots; tries++) {
    const slot = (process.pid + tries) % slots;
    const server = createServer().unref();
    const taken = once(server, 'error').then(() => true);
    const got = once(server.listen(`\0nsfleet-test/ids/${slot}`), 'listening').then(() => false);
    if (!(await Promise.race([taken, got]))) return slot;
  }
  throw new Error(`all ${slots} slots of test ids are taken`);
}

export const testIdPool = { start: poolStart + (await claimSlot()) * ranges * idRangeSize, count: ranges } as const;

/** The n-th of them. */
export function testIdRange(n: number): { start: number; count: number } {
  return { start: testIdPool.start + n * idRangeSize, count: idRangeSize };
}
