/** Which test files belong to which run. `npm test` is the kind `default`; the others live in test/<kind>/ and have a script each. */
import { globSync } from 'node:fs';

export type Kind = {
  /** One test; it may set a shorter `timeout` of its own. */
  testMs: number;
  /** The machine that this must run on has two cores, and most files start processes of their own. */
  filesAtOnce: number;
};

const minute = 60_000;
/** Once test/<kind>/ holds test files, package.json has `"test:<kind>": "node test/run.mjs --kind <kind>"`, and .ci/run its short round. */
const kinds: Readonly<Record<string, Kind>> = {
  // The slowest starts the whole stack several times.
  default: { testMs: 3 * minute, filesAtOnce: 2 },
  browser: { testMs: 5 * minute, filesAtOnce: 1 },
  chaos: { testMs: 30 * minute, filesAtOnce: 1 },
  escape: { testMs: 5 * minute, filesAtOnce: 2 },
  faults: { testMs: 10 * minute, filesAtOnce: 2 },
  fuzz: { testMs: 30 * minute, filesAtOnce: 2 },
  // A guest that is emulated needs both cores to itself.
  guest: { testMs: 30 * minute, filesAtOnce: 1 },
};

export const kindNames = Object.keys(kinds);

export function kindOf(name: string): Kind | undefined {
  return Object.hasOwn(kinds, name) ? kinds[name] : undefined;
}

/** All files of a kind below `root`, relative to it, sorted. */
export function filesOf(kind: string, root: string): string[] {
  const special = kindNames.filter((name) => name !== 'default').map((name) => `test/${name}/`);
  return globSync('test/**/*.test.ts', { cwd: root })
    .filter((file) => (kind === 'default' ? !special.some((prefix) => file.startsWith(prefix)) : file.startsWith(`test/${kind}/`)))
    .toSorted();
}
