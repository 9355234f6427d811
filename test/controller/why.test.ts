import assert from 'node:assert/strict';
import { test } from 'node:test';
import { why } from '#controller/why.ts';
import type { Holder, NamespaceDetail } from '#shared/resources.ts';
import { namespaceFixture } from './cli/fixtures.ts';

const since = '2026-11-23T12:00:00.000Z';

function holder(change: Partial<Holder>): Holder {
  const unset = { tid: null, fd: null, path: null, mountNamespace: null, detail: null, since: null, namespace: null };
  return { kind: 'process', pid: 7, start: '70', uid: 0, comm: 'sh', ...unset, ...change };
}

function sentences(holders: Holder[], change: Partial<NamespaceDetail> = {}, hidden = {}): string[] {
  return why({ ...namespaceFixture({ inode: 4_026_540_000 }), parentId: null, ownerId: null, holders, ...change }, hidden).sentences;
}

test('one holder: when it goes', () => {
  assert.deepEqual(sentences([holder({})]), [
    'Process 7 (sh) lives in it.',
    'Nothing else that can be seen holds it: it goes when process 7 (sh) ends.',
  ]);
  const mount = holder({ kind: 'mount', pid: null, comm: null, path: '/run/netns/blue', mountNamespace: 'id:2', since });
  assert.deepEqual(sentences([mount]), [
    `It is bind-mounted on /run/netns/blue in mount namespace id:2, since ${since}.`,
    'Nothing else that can be seen holds it: it goes when /run/netns/blue is unmounted, or its mount namespace goes.',
  ]);
  assert.match(
    sentences([holder({ kind: 'fd', fd: 3 })]).at(-1) ?? '',
    /descriptor is closed, at the latest when process 7 \(sh\) ends\.$/,
  );
});

test('each kind in a sentence, many of one kind cut short', () => {
  const child = { id: '9', type: 'user' as const, key: 'id:9' };
  const told = sentences([
    holder({ kind: 'thread', tid: 71 }),
    holder({ kind: 'pid_for_children' }),
    holder({ kind: 'thread_fd', tid: 72, fd: 4 }),
    holder({ kind: 'socket', fd: 5, detail: 'inet stream' }),
    holder({ kind: 'tun', fd: 6, detail: 'tun0' }),
    holder({ kind: 'parent', pid: null, namespace: child, since }),
    holder({ kind: 'owner', pid: null, namespace: child, since }),
  ]);
  assert.deepEqual(told, [
    'Thread 71 of process 7 (sh) is in it, elsewhere than its process.',
    'The next children of process 7 (sh) will be in it (pid_for_children).',
    'Thread 72 of process 7 (sh) has it open as descriptor 4 in a table of its own.',
    'A socket (inet stream) that process 7 (sh) has as descriptor 5 was made in it.',
    'Process 7 (sh) has a tun device (tun0) of it as descriptor 6.',
    'Namespace 9 (user id:9) is below it.',
    'It owns namespace 9 (user id:9).',
    'It goes when all of these are gone.',
  ]);
  const crowd = sentences(Array.from({ length: 14 }, (_, at) => holder({ pid: at + 1 })));
  assert.deepEqual([crowd.length, crowd[10]], [12, '4 more hold it in the same way (process).']);
});

test('what holds nothing that can be seen, what could not be seen, what is the kernel’s own, what is gone', () => {
  assert.match(sentences([])[0] ?? '', /^Nothing that can be seen holds it: a descriptor in flight/);
  const [, last] = sentences([], { partial: true }, { fd_eacces: 3 });
  assert.equal(last, 'The last scan of its host could not see everything (fd_eacces: 3), so there may be more holders.');
  assert.match(sentences([], { inode: 4_026_531_837 })[0] ?? '', /made by the kernel at boot/);
  const gone = why(
    { ...namespaceFixture({ current: false, endUnseen: true, lastSeen: since }), parentId: null, ownerId: null, holders: [] },
    {},
  );
  assert.deepEqual(gone, {
    alive: false,
    sentences: [`It is gone. Nobody watched when it ended; it was last known to be there at ${since}.`],
  });
});
