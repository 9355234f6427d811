import type { NamespaceRow, ReferenceRow, References } from './types.ts';

/** Two searches of one host as one; a namespace in both becomes one row. */
export function mergeReferences(first: References, second: References): References {
  const { namespaces, moved } = mergeNamespaces(first.namespaces, second.namespaces);
  const move = (index: number): number => (index < 0 ? index : (moved[index] ?? -1));
  const references = second.references.map((row): ReferenceRow => ({
    ...row,
    namespaceIndex: move(row.namespaceIndex),
    mountNamespaceIndex: move(row.mountNamespaceIndex),
  }));
  return {
    references: [...first.references, ...references],
    namespaces,
    threads: first.threads + second.threads,
    hidden: addHidden(first.hidden, second.hidden),
  };
}

/** Of what was found the references that KEEP wants, and the namespaces that these need. */
export function keepReferences(found: References, keep: (row: ReferenceRow) => boolean): References {
  const references = found.references.filter(keep);
  const needed = new Set<number>();
  const need = (index: number): void => {
    const row = found.namespaces[index];
    if (row === undefined || needed.has(index)) return;
    needed.add(index);
    need(row.parentIndex);
    need(row.ownerIndex);
  };
  for (const { namespaceIndex, mountNamespaceIndex } of references) {
    need(namespaceIndex);
    need(mountNamespaceIndex);
  }
  if (needed.size === found.namespaces.length) return { ...found, references };
  const namespaces: NamespaceRow[] = [];
  const moved = found.namespaces.map((row, index) => (needed.has(index) ? namespaces.push(row) - 1 : -1));
  const move = (index: number): number => moved[index] ?? -1;
  return {
    ...found,
    references: references.map((row) => ({
      ...row,
      namespaceIndex: move(row.namespaceIndex),
      mountNamespaceIndex: move(row.mountNamespaceIndex),
    })),
    namespaces: namespaces.map((row) => ({ ...row, parentIndex: move(row.parentIndex), ownerIndex: move(row.ownerIndex) })),
  };
}

/**
 * Rows of both, those of FIRST in their places; `moved[i]` is where row i of SECOND is now. A row that is known by its inode only (dev 0) is the one
 * that has this inode; members are FIRST's.
 */
export function mergeNamespaces(
  first: readonly NamespaceRow[],
  second: readonly NamespaceRow[],
): { namespaces: NamespaceRow[]; moved: number[] } {
  const namespaces = [...first];
  const byIdentity = new Map(namespaces.map((row, index) => [identity(row), index]));
  const byInode = new Map(namespaces.map((row, index) => [`${row.type}:${row.inode}`, index]));
  const added: number[] = [];
  const moved = second.map((row) => {
    const inode = `${row.type}:${row.inode}`;
    const known = row.dev === 0 ? byInode.get(inode) : byIdentity.get(identity(row));
    if (known !== undefined) return known;
    const index = namespaces.push(row) - 1;
    byIdentity.set(identity(row), index);
    byInode.set(inode, index);
    added.push(index);
    return index;
  });
  const move = (index: number): number => (index < 0 ? -1 : (moved[index] ?? -1));
  for (const index of added) {
    const row = namespaces[index];
    if (row !== undefined) namespaces[index] = { ...row, parentIndex: move(row.parentIndex), ownerIndex: move(row.ownerIndex) };
  }
  return { namespaces, moved };
}

function identity({ type, inode, id }: NamespaceRow): string {
  return `${type}:${inode}:${id}`;
}

function addHidden(a: Record<string, number>, b: Record<string, number>): Record<string, number> {
  const sum = { ...a };
  for (const [reason, count] of Object.entries(b)) sum[reason] = (sum[reason] ?? 0) + count;
  return sum;
}
