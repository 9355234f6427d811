import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { HostPicture, PicturedNamespace, PicturedProcess, PicturedReference } from '#controller/leaks/picture.ts';
import { findLeaks } from '#controller/leaks/rules.ts';
import { LeakSettings, defaultLeakSettings, matches } from '#controller/leaks/settings.ts';

const now = Date.parse('2026-11-23T12:00:00Z');
const ago = (minutes: number) => new Date(now - minutes * 60_000).toISOString();

function namespace(type: PicturedNamespace['type'], id: number, change: Partial<PicturedNamespace> = {}): PicturedNamespace {
  const unset = { processCount: 0, ownerUid: null, names: [], sandbox: null };
  return { id: String(id), type, key: `id:${id}`, inode: 4_026_532_000 + id, firstSeen: ago(60), emptySince: ago(60), ...unset, ...change };
}

function reference(key: number, change: Partial<PicturedReference>): PicturedReference {
  const unset = { pid: 7, tid: null, fd: 3, comm: 'x', path: null, mountNamespace: null, detail: null, since: ago(60) };
  return { kind: 'fd', type: 'net', key: `id:${key}`, ...unset, ...change };
}

function mount(key: number, path: string): PicturedReference {
  return reference(key, { kind: 'mount', pid: null, fd: null, comm: null, path });
}

/** Of net 1 and mnt 2, which are the host's. */
function process(pid: number, comm: string, net = 'id:1', mnt = 'id:2'): PicturedProcess {
  return { pid, uid: 0, comm, namespaces: [mnt, null, null, null, null, null, net, null] };
}

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
  assert.deepEqual(leaks({ ...empty, references: [reference(5, { comm: 'containerd-shim' }), mount(5, '/tmp/left')] }), []);
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
  assert.deepEqual(leaks({ namespaces: namespaces.with(1, namespace('mnt', 3, { names: unit })), processes: foreign }), []);
  assert.deepEqual(leaks({ namespaces, processes: foreign }, { 'host-net-foreign-mnt': { comms: ['ngi*'] } }), []);
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
