/** The real discovery against a namespace in every place where one can hide: found, by its id, with the holder that the place tells of. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDiscovery } from '#agent/inventory/discover.ts';
import { buildModel } from '#agent/inventory/model.ts';
import type { Model } from '#agent/inventory/model.ts';
import { loadNative } from '#native/binding.ts';
import { ReportedReference, ScanCounts } from '#shared/inventory.ts';
import type { ReportedNamespace } from '#shared/inventory.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { startHidingPlaces } from '#test/support/hiding-places.ts';
import type { HidingPlace } from '#test/support/hiding-places.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { netnsTurn } from '#test/support/netns-turn.ts';

await netnsTurn();
leakCheck();
const directory = temporaryDirectories().root;
const skip = process.geteuid?.() !== 0 && 'needs root';

async function discover(): Promise<Model> {
  const discovery = await createDiscovery(loadNative()).discover();
  return buildModel(discovery, new Map(), () => '', 1).model;
}

function namespaceOf(model: Model, { type, inode, id }: HidingPlace): ReportedNamespace | undefined {
  return [...model.namespaces.values()].find((row) => row.type === type && row.inode === inode && (id === null || row.key === `id:${id}`));
}

/** Everything that holds it, as `kind pid[/tid][/fd]`, `mount <inode of mount namespace> <path>`, or the kind alone. */
function holdersOf(model: Model, { type, key }: ReportedNamespace): string[] {
  const holders: string[] = [];
  const inodes = new Map([...model.namespaces.values()].map((row) => [`${row.type} ${row.key}`, row.inode]));
  for (const row of model.processes.values()) {
    if (row.namespaces[namespaceTypes.indexOf(type)] === key) holders.push(`process ${row.pid}`);
    if (type === 'pid' && row.forChildren[0] === key) holders.push(`pid_for_children ${row.pid}`);
    if (type === 'time' && row.forChildren[1] === key) holders.push(`time_for_children ${row.pid}`);
  }
  for (const row of model.references.values()) {
    if (row.type !== type || row.key !== key) continue;
    if (row.kind === 'mount') holders.push(`mount ${inodes.get(`mnt ${row.mountNamespace}`)} ${row.path}`);
    else holders.push(`${row.kind} ${[row.pid, row.tid, row.fd].filter((number) => number !== null).join('/')}`);
  }
  for (const row of model.namespaces.values()) {
    if (row.type === type && row.parent === key) holders.push('parent');
    if (type === 'user' && row.owner === key) holders.push('owner');
  }
  return holders;
}

function expected({ holder }: HidingPlace): string | null {
  if (holder === null) return null;
  const { kind, pid, tid, fd, path, mountNamespace } = holder;
  if (kind === 'parent' || kind === 'owner') return kind;
  if (kind === 'mount') return `mount ${mountNamespace} ${path}`;
  return `${kind} ${[pid, tid, fd].filter((number) => number !== undefined).join('/')}`;
}

test('every place is found, with its holder', { skip }, async (context) => {
  await using hiding = await startHidingPlaces(directory);
  const model = await discover();
  for (const row of model.references.values()) ReportedReference.parse(row);
  ScanCounts.parse(model.counts);
  context.diagnostic(`hidden: ${JSON.stringify(model.counts.hidden)}`);
  const missed: string[] = [];
  for (const place of hiding.places) {
    // What the kernel shows nowhere but there.
    if (place.needs === 'listns') continue;
    const found = namespaceOf(model, place);
    const holders = found === undefined ? [] : holdersOf(model, found);
    const holder = expected(place);
    if (holder === null ? found === undefined : !holders.includes(holder)) {
      missed.push(`${place.place} ${place.type}:[${place.inode}] ${place.id}: ${holder} not in ${found?.key} ${holders.join(', ')}`);
    }
  }
  assert.deepEqual(missed, []);
});

test('what is looked at again is the same', { skip }, async () => {
  await using hiding = await startHidingPlaces(directory);
  const own = (model: Model): unknown =>
    hiding.places.map((place) => {
      const found = namespaceOf(model, place);
      return [...model.references.values()].filter(({ key, type }) => key === found?.key && type === found.type).map(({ id }) => id);
    });
  assert.deepEqual(own(await discover()), own(await discover()));
});
