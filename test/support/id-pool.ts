/** Id ranges for the sandboxes of one test file: files that run side by side, and runs that do, must not meet. */
import { idRangeSize } from '#shared/host.ts';

/** The default pool begins at 1,879,048,192 and holds 4,095 ranges: 15 runs × 8 files × 32 ranges fit into it. */
const poolStart = 1_879_048_192;
const runs = 15;
const files = 8;
const ranges = 32;

const worker = Number(process.env['NODE_TEST_WORKER_ID'] ?? 1) - 1;
const slot = (process.ppid % runs) * files + (worker % files);

export const testIdPool = { start: poolStart + slot * ranges * idRangeSize, count: ranges } as const;

/** The n-th of them. */
export function testIdRange(n: number): { start: number; count: number } {
  return { start: testIdPool.start + n * idRangeSize, count: idRangeSize };
}
