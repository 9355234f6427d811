/** The operations that make a sandbox's /dev: exactly these devices, of the host's by checked number, and nothing else. Pure. */
import type { PlanOperation } from '#shared/plan.ts';
import { mkdir, symlink, tmpfs } from './mounts.ts';
import type { RootOperations, Slots } from './mounts.ts';

/** Device numbers as Documentation/admin-guide/devices.txt gives them. */
const devices = [
  { name: 'null', major: 1, minor: 3 },
  { name: 'zero', major: 1, minor: 5 },
  { name: 'full', major: 1, minor: 7 },
  { name: 'random', major: 1, minor: 8 },
  { name: 'urandom', major: 1, minor: 9 },
  { name: 'tty', major: 5, minor: 0 },
] as const;

const links = [
  ['ptmx', 'pts/ptmx'],
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
] as const;

/** docker's default for /dev/shm */
const sharedMemoryBytes = 64 * 1024 * 1024;
const devBytes = 64 * 1024;

/** `ttyGid`: the group of terminals inside (5 by custom), or null where it is not mapped. `nullSlot`: /dev/null, for masks. */
export function devOperations(side: 'host' | 'inner', ttyGid: number | null, slots: Slots): RootOperations & { nullSlot: number } {
  const placed = devices.map((device) => ({ ...device, slot: slots.next() }));
  return {
    nullSlot: placed[0]?.slot ?? 0,
    sources: placed.map(({ name, major, minor, slot }) => ({
      op: 'tree',
      side,
      slot,
      path: `/dev/${name}`,
      readonly: false,
      nosuid: true,
      nodev: false,
      noexec: true,
      recursive: false,
      followSymlinks: false,
      optional: false,
      device: { major, minor },
      plain: false,
      mapOwners: false,
      slave: false,
    })),
    tree: [
      tmpfs('/dev', 0o755, devBytes, { noexec: true }),
      ...placed.map(({ name, slot }): PlanOperation => ({
        op: 'attach',
        side: 'inner',
        slot,
        target: `/dev/${name}`,
        create: 'file',
        followSymlinks: false,
        optional: false,
      })),
      mkdir('/dev/pts'),
      { op: 'devpts', side: 'inner', target: '/dev/pts', gid: ttyGid },
      mkdir('/dev/shm', 0o1777),
      tmpfs('/dev/shm', 0o1777, sharedMemoryBytes, { noexec: true }),
      mkdir('/dev/mqueue'),
      { op: 'mqueue', side: 'inner', target: '/dev/mqueue' },
      ...links.map(([name, to]) => symlink(`/dev/${name}`, to)),
    ],
  };
}
