/** Options that may be given several times. */

/** Commander's parser of a repeatable option: all values in order. */
export function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}
