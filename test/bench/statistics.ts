/** Median, range and ratio of samples, and the table that shows them. Single times on a shared machine say nothing. */

export type Row = { name: string; samples: number[] };

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/**
 * Runs every contender once a round, in turn (A B A B): what the machine does meanwhile hits all alike. The first round warms
 * caches and does not count. Each `sample` returns milliseconds.
 */
export async function interleave(contenders: readonly { name: string; sample: () => Promise<number> }[], rounds: number): Promise<Row[]> {
  const rows = contenders.map(({ name }): Row => ({ name, samples: [] }));
  for (let round = 0; round <= rounds; round += 1) {
    for (const [index, { sample }] of contenders.entries()) {
      const ms = await sample();
      if (round > 0) rows[index]?.samples.push(ms);
    }
  }
  return rows;
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => unknown): Promise<number> {
  const before = performance.now();
  await work();
  return performance.now() - before;
}

/** Name, median, range, and how many times slower than `base` (the first row where none is named). */
export function formatRows(title: string, rows: readonly Row[], base = rows[0]?.name): string {
  const baseMedian = median(rows.find((row) => row.name === base)?.samples ?? []);
  const cells = rows.map(({ name, samples }) => [
    name,
    median(samples).toFixed(2),
    `${Math.min(...samples).toFixed(2)} – ${Math.max(...samples).toFixed(2)}`,
    `${(median(samples) / baseMedian).toFixed(2)}×`,
    String(samples.length),
  ]);
  const table = [['', 'median ms', 'range ms', `of ${base}`, 'n'], ...cells];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const lines = table.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join('   '),
  );
  return [`## ${title}`, ...lines].join('\n');
}
