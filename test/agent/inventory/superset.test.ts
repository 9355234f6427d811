/** The agent's own discovery, on whatever host the test runs, finds all that lsns(8) finds and all that `ip netns` lists. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createDiscovery } from '#agent/inventory/discover.ts';
import { builtNative } from '#test/native/fixture.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { startHidingPlaces } from '#test/support/hiding-places.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { netnsTurn } from '#test/support/netns-turn.ts';

await netnsTurn();
leakCheck();
const directory = temporaryDirectories().root;
const root = process.geteuid?.() === 0;
const lsnsLacks = spawnSync('lsns', ['--version']).error !== undefined && 'there is no lsns here';
const netnsDirectory = '/run/netns';
/** A busy host's namespaces come and go between the listings: only what is in both of two is compared, and that must be some. */
const roundsMax = 5;

async function discovered(): Promise<Set<number>> {
  const { namespaces } = await createDiscovery(await builtNative()).discover();
  return new Set(namespaces.map(({ inode }) => inode));
}

function lsns(option: readonly string[]): Set<number> {
  const { stdout, status, stderr } = spawnSync('lsns', ['--noheadings', '--output', 'NS', ...option], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return new Set(stdout.match(/\d{9,}/g)?.map(Number));
}

/** As ip-netns(8) lists them: the files there. The inode of one that is mounted is its namespace's. */
function ipNetns(): Map<string, number> {
  const names = existsSync(netnsDirectory) ? readdirSync(netnsDirectory) : [];
  const mounted = names.map((name) => [name, statSync(join(netnsDirectory, name), { throwIfNoEntry: false })] as const);
  const own = statSync('/proc/self/ns/net').dev;
  return new Map(mounted.flatMap(([name, about]) => (about?.dev === own ? [[name, about.ino] as const] : [])));
}

for (const option of [[], ['--tree=owner']]) {
  test(`all that ${['lsns', ...option].join(' ')} lists`, { skip: lsnsLacks }, async (context) => {
    await using hiding = root ? await startHidingPlaces(directory) : null;
    let missing: number[] = [];
    for (let round = 0; round < roundsMax; round++) {
      const before = lsns(option);
      const found = await discovered();
      const after = lsns(option);
      const stable = [...before].filter((inode) => after.has(inode));
      assert.ok(stable.length >= 8, `lsns lists ${stable.join(' ')}`);
      missing = stable.filter((inode) => !found.has(inode));
      if (round === 0) context.diagnostic(`lsns ${stable.length}, found ${found.size}, with ${hiding?.places.length ?? 0} hiding places`);
      // An inode number that another namespace got meanwhile is in both listings, too.
      if (missing.length === 0) return;
    }
    assert.deepEqual(missing, []);
  });
}

test('all that `ip netns` lists', { skip: !root && 'needs root' }, async () => {
  await using hiding = await startHidingPlaces(directory);
  const [before, found, after] = [ipNetns(), await discovered(), ipNetns()];
  const stable = [...before].filter(([name, inode]) => after.get(name) === inode);
  assert.ok(stable.some(([name]) => hiding.netnsPath === join(netnsDirectory, name)));
  assert.deepEqual(
    stable.filter(([, inode]) => !found.has(inode)),
    [],
  );
});
