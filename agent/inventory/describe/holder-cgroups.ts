/** Where the holders of network namespaces are told from what only calls itself so: their cgroups. Read when such a row is reported. */
import { readFileSync } from 'node:fs';
import type { ReportRows } from '#shared/inventory.ts';
import { cgroupPathOf } from './cgroup-root.ts';

/** The rows with `cgroup`; null where the process has ended, or may not be looked at. */
export function withCgroups(rows: ReportRows, proc = '/proc'): ReportRows {
  const byPid = new Map<number, string | null>();
  const cgroupOf = (pid: number): string | null => {
    const known = byPid.get(pid);
    if (known !== undefined) return known;
    const cgroup = readCgroup(`${proc}/${pid}/cgroup`);
    byPid.set(pid, cgroup);
    return cgroup;
  };
  const references = rows.references.map((row) => (row.type !== 'net' || row.pid === null ? row : { ...row, cgroup: cgroupOf(row.pid) }));
  return { ...rows, references };
}

function readCgroup(path: string): string | null {
  try {
    return cgroupPathOf(readFileSync(path));
  } catch {
    return null;
  }
}
