/** Namespaces as trees, drawn as lsns draws them. Pure. */
import type { ReportedProcess } from '#shared/inventory.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import type { NamespaceKey } from '#shared/namespace.ts';
import type { Namespace } from '#shared/resources.ts';
import { shown } from '../output/raw.ts';
import type { Column } from '../output/table.ts';

export const treeRelations = ['owner', 'parent', 'process'] as const;
export type TreeRelation = (typeof treeRelations)[number];

/** Processes of each host by pid; for relation `process`. */
export type Processes = ReadonlyMap<string, ReadonlyMap<number, ReportedProcess>>;

/** Columns of a branch at most; what is deeper is drawn there too. */
const branchMax = 128;

export type TreeRow = {
  row: Namespace;
  /** what is drawn before it: `│ ├─` */
  branch: string;
  /** number of the listed namespace that it stands below */
  above: string | null;
};

/** Deeper chains of processes are followed no further: they are loops, or nobody's. */
const chainMax = 10_000;

/**
 * The rows as trees, by host and then number: `owner` below the user namespace that owns it, `parent` below its parent (user and pid), `process`
 * below the namespace of its type from which its leader came: that of the nearest ancestor process which lives in another one. What stands
 * below nothing that is listed is a root.
 */
export function treeRows(rows: readonly Namespace[], relation: TreeRelation, processes: Processes = new Map()): TreeRow[] {
  const byKey = new Map<string, Namespace>();
  for (const row of rows) if (row.current || !byKey.has(place(row, row.type, row.key))) byKey.set(place(row, row.type, row.key), row);
  const below = new Map<Namespace | null, Namespace[]>();
  const aboveOf = new Map<Namespace, Namespace | null>();
  for (const row of rows) {
    const above = aboveIn(byKey, row, relation, processes);
    aboveOf.set(row, above);
    const siblings = below.get(above);
    if (siblings === undefined) below.set(above, [row]);
    else siblings.push(row);
  }
  const out: TreeRow[] = [];
  const roots = (below.get(null) ?? []).toSorted((a, b) => (a.hostName === b.hostName ? 0 : a.hostName < b.hostName ? -1 : 1));
  const seen = new Set<Namespace>();
  // Not by recursion: whoever may make namespaces may make chains as deep as they like.
  const stack = roots.toReversed().map((row) => ({ row, branch: '', under: '' }));
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { row, branch, under } = next;
    seen.add(row);
    out.push({ row, branch, above: aboveOf.get(row)?.id ?? null });
    const children = (below.get(row) ?? []).filter((child) => !seen.has(child));
    for (const [index, child] of children.entries().toArray().toReversed()) {
      const isLast = index === children.length - 1;
      stack.push({
        row: child,
        branch: `${under}${isLast ? '└─' : '├─'}`,
        under: under.length < branchMax ? `${under}${isLast ? '  ' : '│ '}` : under,
      });
    }
  }
  // A ring has no root; there are none, unless a report is wrong.
  for (const row of rows) if (!seen.has(row)) out.push({ row, branch: '', above: null });
  return out;
}

/** The columns for rows of a tree: it is drawn in column NS, or in the first one where that is not printed. */
export function treeColumns(columns: readonly Column<Namespace>[]): Column<TreeRow>[] {
  const at = Math.max(
    0,
    columns.findIndex(({ name }) => name === 'NS'),
  );
  return columns.map(({ name, cell, align, paint }, index) => ({
    name,
    cell: ({ row, branch }) => (index === at ? shown`${{ shown: branch }}${cell(row)}` : cell(row)),
    ...(align === undefined || index === at ? {} : { align }),
    ...(paint === undefined ? {} : { paint: ({ row }: TreeRow) => paint(row) }),
  }));
}

function aboveIn(byKey: ReadonlyMap<string, Namespace>, row: Namespace, relation: TreeRelation, processes: Processes): Namespace | null {
  const key = relation === 'process' ? cameFrom(row, processes) : row[relation];
  if (key === null) return null;
  const above = byKey.get(place(row, relation === 'owner' ? 'user' : row.type, key));
  return above === undefined || above === row ? null : above;
}

function cameFrom(row: Namespace, processes: Processes): NamespaceKey | null {
  const ofHost = processes.get(row.hostId);
  const at = namespaceTypes.indexOf(row.type);
  let process = row.leader === null || !row.current ? undefined : ofHost?.get(row.leader.pid);
  for (let steps = 0; process !== undefined && steps < chainMax; steps += 1) {
    const key = process.namespaces[at] ?? null;
    if (key !== null && key !== row.key) return key;
    process = ofHost?.get(process.ppid);
  }
  return null;
}

function place({ hostId, bootId }: Namespace, type: string, key: string): string {
  return `${hostId} ${bootId} ${type} ${key}`;
}
