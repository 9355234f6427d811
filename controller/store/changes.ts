/**
 * What changed of a namespace, as its namespace.changed event tells it: field → old and new value. Pure. The old values are what an earlier
 * moment is shown from (backwards), so a field that is told is told exactly.
 */
import { isDeepStrictEqual } from 'node:util';
import type { NamespaceDetails } from '#shared/namespace-details.ts';
import type { Namespace } from '#shared/resources.ts';

/** Of which a change is told. How many processes live in it is not among them: that alone would be an event for every fork. */
export type Attributes = Pick<Namespace, 'parent' | 'owner' | 'ownerUid' | 'leader' | 'names' | 'details'>;
export type Change = { from: unknown; to: unknown };
/** `leader`, `names`, `parent`, `owner`, `ownerUid`; what it is like inside one by one: `details.hostname`. */
export type Changes = Record<string, Change>;

const plain = ['parent', 'owner', 'ownerUid', 'leader', 'names'] as const;
const inside = 'details.';

/** The fields that differ, none where only other things changed. */
export function changesOf(before: Attributes, after: Attributes): Changes {
  const changes: Changes = {};
  for (const field of plain) add(changes, field, before[field], after[field]);
  // null is: nothing could be read. Told as one, or backwards() could not tell it from an empty one.
  if (before.details === null || after.details === null) add(changes, 'details', before.details, after.details);
  else {
    const [from, to]: Record<string, unknown>[] = [before.details, after.details];
    for (const name of new Set([...Object.keys(from ?? {}), ...Object.keys(to ?? {})]))
      add(changes, `${inside}${name}`, from?.[name] ?? null, to?.[name] ?? null);
  }
  return changes;
}

function add(changes: Changes, field: string, from: unknown, to: unknown): void {
  if (!isDeepStrictEqual(from, to)) changes[field] = { from, to };
}

/** What it was like before the changes, which are given newest first. Fields of later versions, which this one does not know, stay away. */
export function backwards<T extends Attributes>(now: T, newestFirst: readonly Changes[]): T {
  const then = { ...now, details: now.details === null ? null : { ...now.details } };
  for (const changes of newestFirst) {
    for (const [field, { from }] of Object.entries(changes)) {
      if (field.startsWith(inside)) then.details = withDetail(then.details, field.slice(inside.length), from);
      else if (field === 'details') then.details = from as NamespaceDetails | null;
      else if ((plain as readonly string[]).includes(field)) Object.assign(then, { [field]: from });
    }
  }
  return then;
}

function withDetail(details: NamespaceDetails | null, name: string, value: unknown): NamespaceDetails {
  const { [name]: _, ...others } = (details ?? {}) as Record<string, unknown>;
  return value === null ? others : { ...others, [name]: value };
}
