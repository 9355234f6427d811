/** What namespaces one host has and another has not. Pure. */
import type { HostDiffGroup } from '#shared/resources.ts';
import type { CalledNamespaces } from './store/history.ts';

/** `same`: namespaces of the left that have a match on the right; `groups`: those of which there are not as many on both. */
export function diffHosts(
  left: readonly CalledNamespaces[],
  right: readonly CalledNamespaces[],
): { same: number; groups: HostDiffGroup[] } {
  const others = new Map(right.map((group) => [keyOf(group), group]));
  const groups: HostDiffGroup[] = [];
  let same = 0;
  const compare = (shown: CalledNamespaces, one: CalledNamespaces | undefined, other: CalledNamespaces | undefined) => {
    const counts = { left: one?.count ?? 0, right: other?.count ?? 0 };
    same += Math.min(counts.left, counts.right);
    const { type, by, name } = shown;
    if (counts.left !== counts.right) groups.push({ type, by, name, ...counts, leftIds: one?.ids ?? [], rightIds: other?.ids ?? [] });
  };
  for (const group of left) {
    const other = others.get(keyOf(group));
    others.delete(keyOf(group));
    compare(group, group, other);
  }
  for (const group of others.values()) compare(group, undefined, group);
  return { same, groups };
}

function keyOf({ type, by, name }: CalledNamespaces): string {
  return JSON.stringify([type, by, name]);
}
