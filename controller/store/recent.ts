/**
 * Rows that this process has just written and nobody had a reason to change since: what to expect where the host's first word comes. A guess
 * and no truth: whoever writes by it has the database check that the row still is so.
 */
import type { SandboxRow } from './sandbox-row.ts';

/** As many sandboxes as one controller is likely to have between placed and running; each keeps its spec, at most 128 KiB. */
const rowsMax = 256;

export type RecentRows = {
  put(row: SandboxRow): void;
  /** Once: whatever comes of it, the row is not the same afterwards. */
  take(placementId: string): SandboxRow | undefined;
};

export function createRecentRows(): RecentRows {
  const rows = new Map<string, SandboxRow>();
  return {
    put(row) {
      rows.set(row.placementId, row);
      if (rows.size > rowsMax) rows.delete(rows.keys().next().value ?? row.placementId);
    },
    take(placementId) {
      const row = rows.get(placementId);
      rows.delete(placementId);
      return row;
    },
  };
}
