import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { temporaryDirectories } from './dirs.ts';
import { startHidingPlaces } from './hiding-places.ts';
import type { HidingPlace, HidingPlaces } from './hiding-places.ts';
import { leakCheck } from './leaks.ts';
import { netnsTurn } from './netns-turn.ts';

await netnsTurn();
leakCheck();
const directory = temporaryDirectories().root;
const skip = process.geteuid?.() !== 0 && 'needs root';

/** What /proc alone shows, as `kind pid[/tid[/fd]]` or `mount <mount namespace> <path>`, by the text of the namespace's link. */
function witnessAll(): Map<string, string[]> {
  const seen = new Map<string, string[]>();
  const add = (target: string, holder: string): unknown =>
    /^[a-z]+:\[\d+\]$/.test(target) && seen.set(target, [...(seen.get(target) ?? []), holder]);
  for (const pid of numbers('/proc')) {
    const leader = namespacesOf(`/proc/${pid}`);
    const leaderDescriptors = new Set(descriptorsOf(`/proc/${pid}`).map(String));
    for (const [name, target] of leader) if (isOwn(name, leader)) add(target, `${kindOf(name)} ${pid}`);
    for (const [fd, target] of descriptorsOf(`/proc/${pid}`)) add(target, `fd ${pid}/${fd}`);
    for (const tid of numbers(`/proc/${pid}/task`).filter((tid) => tid !== pid)) {
      const links = namespacesOf(`/proc/${pid}/task/${tid}`);
      for (const [name, target] of links) if (leader.get(name) !== target && isOwn(name, links)) add(target, `thread ${pid}/${tid}`);
      for (const entry of descriptorsOf(`/proc/${pid}/task/${tid}`)) {
        if (!leaderDescriptors.has(String(entry))) add(entry[1], `thread_fd ${pid}/${tid}/${entry[0]}`);
      }
    }
    for (const line of text(`/proc/${pid}/mountinfo`).split('\n')) {
      const [, , , root = '', target = ''] = line.split(' ');
      add(root, `mount ${leader.get('mnt')} ${target}`);
    }
  }
  return seen;
}

function kindOf(name: string): string {
  return name.endsWith('_for_children') ? name : 'process';
}

/** A `*_for_children` that says the same as the link without it says nothing. */
function isOwn(name: string, links: ReadonlyMap<string, string>): boolean {
  return kindOf(name) === 'process' || links.get(name.replace('_for_children', '')) !== links.get(name);
}

function numbers(path: string): string[] {
  return list(path).filter((name) => /^\d+$/.test(name));
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function namespacesOf(path: string): Map<string, string> {
  return new Map(list(`${path}/ns`).map((name) => [name, link(`${path}/ns/${name}`)]));
}

function descriptorsOf(path: string): [string, string][] {
  return list(`${path}/fd`).map((fd) => [fd, link(`${path}/fd/${fd}`)]);
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** What the witness must see of a place, and nothing else. */
function expected({ place, holder }: HidingPlace): string[] {
  const { kind, pid, tid, fd, path, mountNamespace } = holder ?? {};
  // A mount is shown where a process of its namespace has a root that it can be reached from.
  const shown = new Set(['mount', 'mount_covered', 'mount_stacked', 'mount_in_other', 'named']);
  switch (kind) {
    case 'process':
    case 'time_for_children':
      return [`${kind} ${pid}`];
    case 'pid_for_children':
      // Linux shows it only when the namespace has or had an init.
      return place === 'pid_for_children' ? [`${kind} ${pid}`] : [];
    case 'thread':
      return [`${kind} ${pid}/${tid}`];
    case 'fd':
      return [`${kind} ${pid}/${fd}`];
    case 'thread_fd':
      return [`${kind} ${pid}/${tid}/${fd}`];
    case 'mount':
      return shown.has(place) ? [`mount mnt:[${mountNamespace}] ${path}`] : [];
    default:
      return [];
  }
}

/** Sandboxes of other test files copy the mounts of this mount namespace, and other scanners hold for a moment what they find. */
function own(seen: readonly string[] = [], { holder }: HidingPlace): string[] {
  const lines = seen.filter((line) => {
    const [kind = '', where = ''] = line.split(' ');
    if (kind === 'mount') return holder?.kind !== 'mount' || where === `mnt:[${holder.mountNamespace}]`;
    return !kind.endsWith('fd') || text(`/proc/${where.split('/')[0]}/comm`).startsWith('hiding-places');
  });
  return [...new Set(lines)];
}

function assertGone(hiding: HidingPlaces): void {
  const seen = witnessAll();
  const left = hiding.places.filter(({ type, inode }) =>
    // Inode numbers are reused: what another test has there now is held by another process.
    (seen.get(`${type}:[${inode}]`) ?? []).some((line) =>
      hiding.places.some(({ holder }) => holder?.pid !== undefined && line.split(/[ /]/)[1] === `${holder.pid}`),
    ),
  );
  assert.deepEqual(left, []);
  assert.ok(!existsSync(hiding.netnsPath));
  const mounts = text('/proc/self/mountinfo');
  assert.ok(!mounts.includes(hiding.directory) && !mounts.includes(hiding.netnsPath));
  assert.ok(!existsSync(hiding.directory));
}

test('every place is made, and /proc shows each where it is and nowhere else', { skip }, async (context) => {
  await using hiding = await startHidingPlaces(directory);
  for (const { place, unavailable } of hiding.unavailable) context.diagnostic(`${place}: ${unavailable}`);
  assert.ok(hiding.places.length + hiding.unavailable.length >= 37);
  assert.equal(new Set(hiding.places.map(({ place }) => place)).size, hiding.places.length);
  const inodes = new Set(hiding.places.map(({ type, inode }) => `${type}:[${inode}]`));
  assert.equal(inodes.size, hiding.places.length);
  const seen = witnessAll();
  for (const place of hiding.places) {
    assert.deepEqual(own(seen.get(`${place.type}:[${place.inode}]`), place), expected(place), place.place);
  }
});

test('only what the kernel or the host lacks is unavailable', { skip }, async () => {
  await using hiding = await startHidingPlaces(directory);
  const [major = 0, minor = 0] = text('/proc/sys/kernel/osrelease').split('.').map(Number);
  const lacking = [
    ...(major * 1000 + minor < 6011 ? ['pid_for_children_unborn'] : []),
    ...(existsSync('/dev/net/tun') ? [] : ['tun', 'tun_without_device']),
    ...(/^[12]/.test(text('/proc/sys/kernel/io_uring_disabled')) ? ['io_uring'] : []),
  ];
  assert.deepEqual(hiding.unavailable.map(({ place }) => place).toSorted(), lacking.toSorted());
});

for (const how of ['close', 'kill'] as const) {
  test(`ended by ${how === 'kill' ? 'SIGKILL' : 'the end of its input'}, it leaves nothing behind`, { skip }, async () => {
    await using hiding = await startHidingPlaces(directory);
    await hiding.end(how);
    assertGone(hiding);
  });
}

test('what is left when the janitor was killed too can be cleared', { skip }, async () => {
  await using hiding = await startHidingPlaces(directory);
  const [janitor = ''] = text(`/proc/${hiding.pid}/task/${hiding.pid}/children`).split(' ');
  process.kill(Number(janitor), 'SIGKILL');
  await hiding.end('kill');
  assertGone(hiding);
});

test(
  'lsns, for scale',
  { skip: skip || (spawnSync('lsns', ['--version']).error !== undefined && 'there is no lsns here') },
  async (context) => {
    await using hiding = await startHidingPlaces(directory);
    const found = ['', '--tree=owner'].map((option) => {
      const args = ['--noheadings', '--output', 'NS', ...(option === '' ? [] : [option])];
      return new Set(
        execFileSync('lsns', args, { encoding: 'utf8' })
          .match(/\d{6,}/g)
          ?.map(Number),
      );
    });
    const row = (name: string, cells: readonly unknown[]): void =>
      context.diagnostic([name.padEnd(26), ...cells.map((cell) => String(cell).padEnd(12))].join(' '));
    row(execFileSync('lsns', ['--version'], { encoding: 'utf8' }).trim(), ['plain', '--tree=owner']);
    for (const { place, inode } of hiding.places)
      row(
        place,
        found.map((set) => (set.has(inode) ? 'found' : '–')),
      );
    const counts = found.map((set) => hiding.places.filter(({ inode }) => set.has(inode)).length);
    row(`of ${hiding.places.length}`, counts);
    assert.ok(counts.every((count) => count > 0 && count < hiding.places.length));
  },
);
