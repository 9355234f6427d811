/** How long and from what: what all fuzzers have in common. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const short = process.env['NSFLEET_TEST_SHORT'] === '1';

/** Of each parser. */
export const fuzzSeconds = Number(process.env['NSFLEET_FUZZ_SECONDS'] ?? (short ? 5 : 600));
/** The same for every short round, so that one that passed passes again. */
export const fuzzSeed = Number(process.env['NSFLEET_FUZZ_SEED'] ?? (short ? 1 : Date.now() % 1_000_000));

const crashes = fileURLToPath(new URL('crashes/', import.meta.url));

/** All files of these folders of the corpus, in an order that stays. */
export function corpusFiles(folders: readonly string[]): string[] {
  return folders.flatMap((folder) => {
    const path = fileURLToPath(new URL(`corpus/${folder}/`, import.meta.url));
    return readdirSync(path)
      .toSorted()
      .map((file) => join(path, file));
  });
}

/** Keeps an input that did harm, and says where it is. */
export function keepCrash(name: string, input: Uint8Array): string {
  mkdirSync(crashes, { recursive: true });
  const path = join(crashes, `${name}-${createHash('sha256').update(input).digest('hex').slice(0, 12)}`);
  writeFileSync(path, input);
  return `seed ${fuzzSeed}; the input (${input.length} bytes) is ${path}; move it into test/fuzz/corpus/ to run it first`;
}
