/** Identity without NS_GET_ID: who holds an inode number now, and held it before, tells whether it is the same namespace. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Discovery } from '#agent/inventory/discover.ts';
import { nextGenerations } from '#agent/inventory/generation-rule.ts';
import type { Generations } from '#agent/inventory/generation-rule.ts';
import { namespaceLinks } from '#native/types.ts';
import type { NamespaceRow, ProcessRow, ReferenceRow } from '#native/types.ts';

/** What a look sees: processes by pid with the inodes that they are in, descriptors as `pid/fd`, and owners by inode. */
type World = {
  processes?: Record<number, number[]>;
  starts?: Record<number, number>;
  fds?: Record<string, number>;
  owners?: Record<number, number>;
};

function look({ processes = {}, starts = {}, fds = {}, owners = {} }: World): Discovery {
  const inodes = [
    ...new Set([...Object.values(processes).flat(), ...Object.values(fds), ...Object.keys(owners).map(Number), ...Object.values(owners)]),
  ];
  const indexOf = (inode: number): number => inodes.indexOf(inode);
  const startOf = (pid: number): string => String(starts[pid] ?? 1);
  const namespaces = inodes.map((inode): NamespaceRow => ({
    type: 'user',
    inode,
    dev: 4,
    id: null,
    parentIndex: -1,
    ownerIndex: indexOf(owners[inode] ?? -1),
    ownerUid: null,
    processCount: 0,
    leaderPid: 0,
    leaderStartTicks: '0',
  }));
  const rows = Object.entries(processes).map(([pid, held]): ProcessRow => ({
    pid: Number(pid),
    ppid: 1,
    startTicks: startOf(Number(pid)),
    uid: 0,
    state: 'S',
    comm: 'x',
    ns: namespaceLinks.map((_, position) => indexOf(held[position] ?? -1)),
  }));
  const references = Object.entries(fds).map(([place, inode]): ReferenceRow => {
    const [pid = 0, fd = 0] = place.split('/').map(Number);
    const nothing = {
      tid: 0,
      uid: 0,
      comm: new Uint8Array(),
      mountNamespaceIndex: -1,
      mountId: '0',
      covered: false,
      text: new Uint8Array(),
    };
    return { ...nothing, kind: 'fd', namespaceIndex: indexOf(inode), pid, startTicks: startOf(pid), fd, family: 0, socketType: 0 };
  });
  const unreadable = { EACCES: 0, EPERM: 0, other: 0 };
  const counts = { processes: rows.length, namespaces: inodes.length, vanished: 0, unreadable, unpinned: 0 };
  return { processes: rows, namespaces, references, threads: 0, hidden: {}, counts };
}

function looker(): (world: World, asked?: number[]) => Record<number, number> {
  let generations: Generations = new Map();
  return (world, asked) => {
    generations = nextGenerations(look(world), generations, asked === undefined ? null : new Set(asked));
    return Object.fromEntries([...generations].filter(([, { present }]) => present).map(([inode, { generation }]) => [inode, generation]));
  };
}

test('an inode that was absent from a look and comes back is another namespace', () => {
  const see = looker();
  assert.deepEqual(see({ processes: { 1: [10], 2: [11] } }), { 10: 0, 11: 0 });
  assert.deepEqual(see({ processes: { 1: [10], 2: [11] } }), { 10: 0, 11: 0 });
  assert.deepEqual(see({ processes: { 1: [9], 2: [11] } }), { 9: 0, 11: 0 });
  assert.deepEqual(see({ processes: { 1: [10], 2: [11] } }), { 10: 1, 11: 0 });
});

test('an inode all of whose holders are others is another namespace, and one common holder makes it the same', () => {
  const see = looker();
  assert.deepEqual(see({ processes: { 1: [10], 2: [10] } }), { 10: 0 });
  assert.deepEqual(see({ processes: { 2: [10], 3: [10] } }), { 10: 0 }, 'handed on with one who stays');
  assert.deepEqual(see({ processes: { 4: [10] } }), { 10: 1 });
  assert.deepEqual(see({ processes: { 4: [10] }, starts: { 4: 2 } }), { 10: 2 }, 'the pid is another process');
  assert.deepEqual(see({ processes: { 5: [12] }, fds: { '5/3': 10 } }), { 12: 0, 10: 3 });
  assert.deepEqual(see({ processes: { 5: [12] }, fds: { '5/3': 10 } }), { 12: 0, 10: 3 }, 'held by a descriptor');
});

test('a namespace that only owns another goes on with it', () => {
  const see = looker();
  assert.deepEqual(see({ processes: { 1: [10] }, owners: { 10: 20 } }), { 10: 0, 20: 0 });
  assert.deepEqual(see({ processes: { 1: [10] }, owners: { 10: 20 } }), { 10: 0, 20: 0 });
  assert.deepEqual(see({ processes: { 2: [10] }, owners: { 10: 20 } }), { 10: 1, 20: 1 }, 'both numbers are others’ now');
});

test('a look at some processes knows nothing of the others', () => {
  const see = looker();
  see({ processes: { 1: [10], 2: [11], 3: [12] }, fds: { '3/4': 13 } });
  assert.deepEqual(see({ processes: { 9: [10] } }, [9]), { 10: 0, 11: 0, 12: 0, 13: 0 }, 'one more came');
  assert.deepEqual(see({ processes: { 8: [11] } }, [2, 8]), { 10: 0, 11: 1, 12: 0, 13: 0 }, 'it was looked at, and has ended');
  assert.deepEqual(
    see({ processes: { 3: [12], 7: [13] } }, [3, 7]),
    { 10: 0, 11: 1, 12: 0, 13: 0 },
    'descriptors are not looked at in part',
  );
  assert.deepEqual(see({ processes: { 6: [13] } }, [3, 6, 7]), { 10: 0, 11: 1, 12: 0, 13: 1 }, 'they end with their process');
});

test('two namespaces are never taken for one, whatever order they come and go in, as long as no process changes its namespace', () => {
  const step = fc.record({ end: fc.array(fc.nat(5), { maxLength: 4 }), make: fc.nat(3), join: fc.array(fc.nat(5), { maxLength: 3 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const see = looker();
      // The truth: a process by pid is in a namespace, which has a number of the world's and an inode, the lowest that is free.
      let living: { pid: number; inode: number; truth: number }[] = [];
      let pids = 0;
      let truths = 0;
      const truthOfKey = new Map<string, number>();
      for (const { end, make, join } of steps) {
        living = living.filter((_, index) => !end.includes(index));
        for (let count = 0; count < make; count++) {
          const taken = new Set(living.map(({ inode }) => inode));
          const inode = [10, 11, 12, 13, 14, 15, 16, 17, 18, 19].find((free) => !taken.has(free));
          if (inode !== undefined) living.push({ pid: ++pids, inode, truth: ++truths });
        }
        for (const index of join) {
          const with_ = living[index];
          if (with_ !== undefined) living.push({ ...with_, pid: ++pids });
        }
        const seen = see({ processes: Object.fromEntries(living.map(({ pid, inode }) => [pid, [inode]])) });
        for (const { inode, truth } of living) {
          const key = `${inode}.${seen[inode]}`;
          assert.equal(truthOfKey.get(key) ?? truth, truth, key);
          truthOfKey.set(key, truth);
        }
      }
    }),
    { numRuns: 500 },
  );
});
