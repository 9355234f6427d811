import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { HostPicture, PicturedNamespace, PicturedProcess, PicturedReference } from '#controller/leaks/picture.ts';
import { findLeaks } from '#controller/leaks/rules.ts';
import { LeakSettings, defaultLeakSettings, matches } from '#controller/leaks/settings.ts';

const now = Date.parse('2026-11-23T12:00:00Z');
const hostUser = 'id:8';
const ago = (minutes: number) => new Date(now - minutes * 60_000).toISOString();

function namespace(type: PicturedNamespace['type'], id: number, change: Partial<PicturedNamespace> = {}): PicturedNamespace {
  const unset = { processCount: 0, owner: hostUser, ownerUid: null, names: [], sandbox: null };
  return { id: String(id), type, key: `id:${id}`, inode: 4_026_532_000 + id, firstSeen: ago(60), emptySince: ago(60), ...unset, ...change };
}

function reference(key: number, change: Partial<PicturedReference>): PicturedReference {
  const unset = {
    pid: 7,
    tid: null,
    fd: 3,
    comm: 'x',
    cgroup: '/system.slice/x.service',
    path: null,
    mountNamespace: null,
    detail: null,
    since: ago(60),
  };
  return { kind: 'fd', type: 'net', key: `id:${key}`, ...unset, ...change };
}

function mount(key: number, path: string): PicturedReference {
  return reference(key, { kind: 'mount', pid: null, fd: null, comm: null, path });
}

/** Of net 1 and mnt 2, which are the host's, as its user and pid namespaces are. */
function process(pid: number, comm: string, net = 'id:1', mnt = 'id:2', change: Partial<Changed> = {}): PicturedProcess {
  const { uid, user, pidNamespace } = { uid: 0, user: hostUser, pidNamespace: 'id:9', ...change };
  return { pid, uid, comm, namespaces: [mnt, null, null, null, user, pidNamespace, net, null] };
}
type Changed = { uid: number; user: string; pidNamespace: string };

/** What makes a daemon of the host's root another: none of it is the process's own choice. */
const others: [what: string, change: Partial<Changed>][] = [
  ['a user', { uid: 1000 }],
  ['root of a container', { pidNamespace: 'id:40' }],
  ['root of a user namespace', { user: 'id:41' }],
];

function leaks(change: Partial<HostPicture>, settings: object = {}): string[] {
  const picture: HostPicture = {
    nowMs: now,
    partial: false,
    namespaces: [],
    processes: [process(1, 'systemd')],
    references: [],
    usersBefore: { count: 0, at: ago(60) },
    ...change,
  };
  return findLeaks(picture, LeakSettings.parse(settings)).map(({ rule, namespace: about }) => `${rule} ${about?.id ?? 'host'}`);
}

test('net-without-process: whom nobody lives in for long, unless somebody keeps it on purpose', () => {
  const empty = { namespaces: [namespace('net', 5)] };
  const leak = ['net-without-process 5'];
  assert.deepEqual(leaks({ ...empty, references: [reference(5, { comm: 'vim' })] }), leak);
  assert.deepEqual(leaks({ ...empty, references: [mount(5, '/tmp/left')] }), leak);
  assert.deepEqual(leaks({ ...empty, references: [mount(5, '/run/netns/cni-0815')] }), leak, 'an engine’s, whose container is gone');
  assert.deepEqual(leaks(empty), leak, 'a descriptor in flight');
  assert.deepEqual(leaks({ ...empty, partial: true }), [], 'perhaps held by what could not be seen');
  assert.deepEqual(leaks({ ...empty, references: [mount(5, '/run/netns/blue')] }), []);
  const keeper = reference(5, { comm: 'containerd-shim' });
  const kept = { ...empty, references: [keeper, mount(5, '/tmp/left')] };
  const processes = [process(1, 'systemd'), process(7, 'containerd-shim')];
  assert.deepEqual(leaks({ ...kept, processes }), []);
  assert.deepEqual(leaks(kept), leak, 'a name alone is nothing');
  for (const [what, change] of others) {
    assert.deepEqual(
      leaks({ ...kept, processes: [process(1, 'systemd'), process(7, 'containerd-shim', 'id:1', 'id:2', change)] }),
      leak,
      what,
    );
  }
  for (const cgroup of [null, '/user.slice/user-1000.slice/session-3.scope', '/docker/0123', '/user.slice/system.slice/x.service']) {
    assert.deepEqual(leaks({ ...empty, references: [{ ...keeper, cgroup }], processes }), leak, `set-user-ID, from ${cgroup}`);
  }
  assert.deepEqual(leaks({ ...empty, references: [{ ...keeper, comm: 'vim' }], processes }), leak, 'a daemon that keeps none on purpose');
  assert.deepEqual(leaks({ namespaces: [namespace('net', 5, { emptySince: ago(9) })] }), []);
  assert.deepEqual(leaks({ namespaces: [namespace('net', 5, { emptySince: ago(9) })] }, { 'net-without-process': { minutes: 5 } }), leak);
  assert.deepEqual(leaks({ namespaces: [namespace('net', 5, { processCount: 1 }), namespace('uts', 6)] }), []);
  assert.deepEqual(leaks(empty, { 'net-without-process': { enabled: false } }), []);
});

test('sandbox-gone: a namespace that outlives its sandbox', () => {
  const sandbox = { id: '0', name: 'web', state: 'stopped' as const, endedAt: ago(5) };
  assert.deepEqual(leaks({ namespaces: [namespace('uts', 5, { sandbox })] }), ['sandbox-gone 5']);
  assert.deepEqual(leaks({ namespaces: [namespace('uts', 5, { sandbox: { ...sandbox, state: 'running' } })] }), []);
  assert.deepEqual(leaks({ namespaces: [namespace('uts', 5, { sandbox: { ...sandbox, endedAt: ago(0.5) } })] }), []);
});

test('user-growth: many more than there were', () => {
  const users = (count: number) => Array.from({ length: count }, (_, at) => namespace('user', at));
  const before = (count: number) => ({ usersBefore: { count, at: ago(60) } });
  assert.deepEqual(leaks({ namespaces: users(200), ...before(100) }), ['user-growth host']);
  assert.deepEqual(leaks({ namespaces: users(199), ...before(100) }), []);
  assert.deepEqual(leaks({ namespaces: users(1100), ...before(1000) }), [], 'a hundred more of a thousand is no growth');
});

test('host-net-foreign-mnt: who shares the host’s net but not its mnt, once a mount namespace', () => {
  const namespaces = [namespace('mnt', 2), namespace('mnt', 3), namespace('net', 1, { processCount: 2 })];
  const foreign = [process(1, 'systemd'), process(50, 'nginx', 'id:1', 'id:3'), process(51, 'nginx', 'id:1', 'id:3')];
  assert.deepEqual(leaks({ namespaces, processes: foreign }), ['host-net-foreign-mnt 3']);
  const unit = [{ source: 'systemd' as const, name: 'nginx.service' }];
  const drift = ['host-net-foreign-mnt 3'];
  const inUnit = (change: Partial<PicturedNamespace>) =>
    leaks({ namespaces: namespaces.with(1, namespace('mnt', 3, { names: unit, ...change })), processes: foreign });
  assert.deepEqual(inUnit({}), []);
  for (const owner of ['id:41', null]) assert.deepEqual(inUnit({ owner }), drift, 'a user makes units and namespaces too');
  const docker = { source: 'docker' as const, name: '0123' };
  assert.deepEqual(inUnit({ names: [docker, ...unit] }), drift, 'a container may make cgroups below its own');
  assert.deepEqual(inUnit({ names: [], sandbox: { id: '0', name: 'web', state: 'running', endedAt: null } }), []);
  const nginx = { 'host-net-foreign-mnt': { comms: ['ngi*'] } };
  assert.deepEqual(leaks({ namespaces, processes: foreign }, nginx), []);
  for (const [what, change] of others) {
    const worker = process(51, 'nginx', 'id:1', 'id:3', change);
    assert.deepEqual(leaks({ namespaces, processes: [...foreign.slice(0, 2), worker] }, nginx), drift, what);
  }
  assert.deepEqual(leaks({ namespaces: namespaces.with(1, namespace('mnt', 3, { owner: 'id:41' })), processes: foreign }, nginx), drift);
  assert.deepEqual(leaks({ namespaces, processes: [process(1, 'systemd'), process(50, 'nginx', 'id:9', 'id:3')] }), []);
  const hidden = { ...process(1, 'systemd'), namespaces: Array.from({ length: 8 }, () => null) };
  assert.deepEqual(leaks({ namespaces, processes: [hidden, ...foreign.slice(1)] }), [], 'without a host to compare with nothing is said');
  assert.deepEqual(leaks({ namespaces, processes: [hidden, process(2, 'kthreadd'), ...foreign.slice(1)] }), ['host-net-foreign-mnt 3']);
});

test('unexpected-owner: daemons and nobody', () => {
  const owned = (ownerUid: number) => leaks({ namespaces: [namespace('user', 5, { ownerUid })] });
  assert.deepEqual(
    [0, 33, 1000, 65_534, 100_000].map((uid) => owned(uid).length),
    [0, 1, 0, 1, 0],
  );
});

test('a finding names who pins it and for how long, at most twenty', () => {
  const references = Array.from({ length: 25 }, (_, at) => reference(5, { fd: at, comm: 'vim' }));
  const picture = { nowMs: now, partial: false, processes: [], usersBefore: { count: 0, at: ago(60) } };
  const [found] = findLeaks({ ...picture, namespaces: [namespace('net', 5)], references }, defaultLeakSettings);
  assert.equal(found?.pins[0], `process 7 (vim) has it open as descriptor 0, since ${ago(60)}`);
  assert.deepEqual([found?.pins.length, found?.pins.at(-1)], [21, '5 more hold it']);
  assert.match(found?.reason ?? '', /^no process has lived in network namespace 5 \(id:5\) since/);
});

test('a pattern is what a shell takes it for', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 6 });
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*'), maxLength: 6 });
  fc.assert(
    fc.property(pattern, text, (one, other) => {
      const same = new RegExp(`^${one.replaceAll('.', '\\.').replaceAll('*', '.*')}$`).test(other);
      assert.equal(matches([one], other), same);
    }),
    { numRuns: 2000 },
  );
});

test('settings that are not offered are refused', () => {
  assert.throws(() => LeakSettings.parse({ 'net-without-process': { minute: 1 } }));
  assert.throws(() => LeakSettings.parse({ 'no-such-rule': {} }));
});
