/** The tests of the inventory, run again by a kernel that has no namespace ids, no listns(2) and no namespace ioctls of pidfds. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildNative } from '#native/build.mjs';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { startGuest } from '#test/support/guest.ts';
import type { Guest } from '#test/support/guest.ts';
import { findMachine } from '#test/support/guest/machine.ts';
import { compileHidingPlaces, programVariable } from '#test/support/hiding-places.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const machine = await findMachine();
const skip = 'lacking' in machine && machine.lacking;
const directory = temporaryDirectories().root;
const checkout = fileURLToPath(new URL('../..', import.meta.url));
/** Everything takes about ten times as long there. */
const testMs = 175_000;

const files = [
  'test/native/scan.test.ts',
  'test/native/relate.test.ts',
  'test/support/hiding-places.test.ts',
  'test/agent/inventory/hiding-places.test.ts',
  'test/agent/inventory/identity.test.ts',
  'test/agent/inventory/superset.test.ts',
].filter((file) => existsSync(join(checkout, file)));

let guest: Guest;
let program: string;
before(async () => {
  if ('lacking' in machine) return;
  await buildNative();
  program = await compileHidingPlaces(directory);
  guest = await startGuest({ machine, directory });
});
after(async () => {
  await guest?.[Symbol.asyncDispose]();
});

for (const file of files) {
  test(`${file} in the guest`, { skip, timeout: testMs + 5000 }, async (context) => {
    const env = { [programVariable]: program };
    // Not `node --test`: what a file says on stderr before its first test is lost there, and so is the reason when that is where it ends.
    const result = await guest.run(['node', file], { env, timeoutMs: testMs });
    const end = result.timedOut ? 'it timed out' : `it ended with ${result.signal === null ? result.code : `signal ${result.signal}`}`;
    assert.equal(result.code, 0, `${end}\n${result.stdout}\n${result.stderr}\n${guest.console()}`);
    assert.match(result.stdout, /^ℹ pass [1-9]/m);
    for (const line of result.stdout.split('\n').filter((line) => /^(﹣|ℹ (pass|skipped|\d+ namespaces))/.test(line)))
      context.diagnostic(line);
  });
}
