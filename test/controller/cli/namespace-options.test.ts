/** Namespaces, maps and clocks as people type them, docker's and podman's words included. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idMapOptions, namespaceOptions, timeOffsetOptions } from '#controller/cli/sandbox/namespace-options.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();

test('each word for a namespace', () => {
  const words: [string, object][] = [
    ['new', { from: 'new' }],
    ['private', { from: 'new' }],
    ['none', { from: 'new' }],
    ['host', { from: 'host' }],
    ['sandbox:web', { from: 'sandbox', name: 'web' }],
    ['container:web', { from: 'sandbox', name: 'web' }],
    ['pid:12', { from: 'pid', pid: 12 }],
    ['path:/run/netns/a:b', { from: 'path', path: '/run/netns/a:b' }],
    ['ns:/run/netns/a', { from: 'path', path: '/run/netns/a' }],
    ['id:18446744073709551615', { from: 'id', id: '18446744073709551615' }],
  ];
  for (const [word, choice] of words) assert.deepEqual(namespaceOptions({ net: word }), { net: choice }, word);
  assert.deepEqual(namespaceOptions({ network: 'host', userns: 'host', cgroupns: 'host', mntns: 'host', timens: 'host', pid: 'host' }), {
    net: { from: 'host' },
    user: { from: 'host' },
    cgroup: { from: 'host' },
    mnt: { from: 'host' },
    time: { from: 'host' },
    pid: { from: 'host' },
  });
});

test('what cannot be understood says what would be', () => {
  for (const word of ['', 'hots', 'pid:', 'pid:-1', 'pid:1e3', 'pid:0', 'path:relative', 'id:x', 'sandbox:', 'bridge']) {
    assert.throws(
      () => namespaceOptions({ ipc: word }),
      { code: 'USAGE', target: `--ipc ${word}`, reason: /it takes new, host, sandbox:NAME/ },
      word,
    );
  }
  assert.throws(() => namespaceOptions({ net: 'host', network: 'host' }), { code: 'USAGE', reason: /which are the same/ });
});

test('maps and clocks', () => {
  const map = { inside: 0, outside: 100_000, count: 65_536 };
  assert.equal(idMapOptions(undefined, undefined), undefined);
  assert.deepEqual(idMapOptions(['0:100000:65536'], undefined), { uid: [map], gid: [map] });
  assert.deepEqual(idMapOptions(undefined, ['0:100000:65536']), { uid: [map], gid: [map] });
  for (const text of ['0:1', '0:1:2:3', 'a:1:2', '-1:1:2']) assert.throws(() => idMapOptions([text], undefined), { code: 'USAGE' }, text);
  assert.equal(timeOffsetOptions(undefined), undefined);
  assert.deepEqual(timeOffsetOptions(['boottime=24h', 'monotonic=-500ms']), { boottimeMs: 86_400_000, monotonicMs: -500 });
  for (const text of ['boottime', 'realtime=1s', 'boottime=x', 'monotonic=--1s'])
    assert.throws(() => timeOffsetOptions([text]), { code: 'USAGE' }, text);
});
