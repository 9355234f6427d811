/** What keeping and reaping need, with the real library and shim, for the tests of a file. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildModel } from '#agent/inventory/model.ts';
import type { Model } from '#agent/inventory/model.ts';
import type { KeepParts } from '#agent/namespaces/keep.ts';
import { createTurns } from '#agent/sandbox/turns.ts';
import { loadNative } from '#native/binding.ts';
import type { Native } from '#native/binding.ts';
import type { TestDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';

export type KeepTools = {
  native: Native;
  /** With directories of their own each time. */
  parts: () => KeepParts;
  scan: () => Promise<Model>;
};

export function keepTools(dirs: TestDirectories): KeepTools {
  const native = loadNative();
  const program = fileResources.use(native.sealProgram(fileURLToPath(import.meta.resolve('#native/build/nsfleet-shim'))));
  let count = 0;
  return {
    native,
    parts() {
      const base = join(dirs.root, `kept-${count++}`);
      mkdirSync(base);
      return {
        runner: { native, program },
        directories: { netns: join(base, 'netns'), others: join(base, 'ns') },
        generationOf: () => 0,
        turns: createTurns(1),
      };
    },
    scan: async () => buildModel(await native.scan(), new Map(), () => '', 0).model,
  };
}
