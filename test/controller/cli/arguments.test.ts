import assert from 'node:assert/strict';
import { test } from 'node:test';
import { execRequest } from '#controller/cli/sandbox/exec.ts';
import { shortIds } from '#controller/cli/sandbox/list.ts';
import { sandboxRequest } from '#controller/cli/sandbox/request.ts';
import { exitCodeOf, exitText, statusText } from '#controller/cli/sandbox/status.ts';
import {
  capabilityOptions,
  durationMs,
  environmentOptions,
  rlimitOptions,
  signalOption,
  userOption,
} from '#controller/cli/sandbox/values.ts';
import { readTypes } from '#controller/cli/namespace/list.ts';
import { NsfleetError } from '#shared/errors.ts';
import { sandboxFixture } from './fixtures.ts';

const refusedAs = (code: string, reason: RegExp) => (error: unknown) =>
  error instanceof NsfleetError && error.code === code && reason.test(error.message);

test('run: options become the API’s request', () => {
  const request = sandboxRequest(
    ['sh', '-c', 'id'],
    {
      name: 'web',
      hostname: 'Web.local',
      label: ['app=web', 'gpu', 'x=a=b'],
      constraint: 'true',
      rm: true,
      env: ['A=1', 'EMPTY=', 'HERE'],
      cwd: '/tmp',
      user: '1000:50',
      root: '/srv/root',
      readOnly: true,
      seccomp: 'container',
      landlockRo: ['/usr'],
      landlockConnect: ['443', '80'],
      landlockBind: ['none'],
      stopSignal: 'int',
      stopGrace: '500ms',
    },
    { HERE: 'from the environment' },
  );
  assert.deepEqual(request, {
    name: 'web',
    labels: { app: 'web', gpu: '', x: 'a=b' },
    autoRemove: true,
    spec: {
      command: ['sh', '-c', 'id'],
      env: { A: '1', EMPTY: '', HERE: 'from the environment' },
      cwd: '/tmp',
      user: { uid: 1000, gid: 50, groups: [] },
      rlimits: {},
      umask: '022',
      capabilities: { add: [] },
      allowDegraded: false,
      namespaces: {},
      resources: {},
      hostname: 'Web.local',
      root: { type: 'directory', path: '/srv/root', writable: false, upper: { type: 'disk' } },
      volumes: [],
      landlock: { readable: ['/usr'], writable: [], bindTcp: [], connectTcp: [443, 80] },
      seccomp: { profile: 'container' },
      constraint: 'true',
      logMaxBytes: 1_048_576,
      stopSignal: 'SIGINT',
      stopGraceMs: 500,
    },
  });
  const plain = sandboxRequest(['true'], {}, {});
  assert.deepEqual(plain.spec.root, { type: 'host' });
  assert.equal(plain.spec.user, undefined);
  assert.deepEqual(plain.spec.seccomp, { profile: 'strict' });
  assert.equal(plain.name, undefined);
});

test('run: what cannot be read is refused with the option’s name', () => {
  const cases: [Parameters<typeof sandboxRequest>[1], string, RegExp][] = [
    [{ name: 'Bad_Name' }, 'INVALID_INPUT', /name: lower-case/],
    [{ name: 'x'.repeat(64) }, 'INVALID_INPUT', /name/],
    [{ hostname: 'a b' }, 'INVALID_INPUT', /spec\.hostname: letters, digits, \. and - inside, at most 64/],
    [{ cwd: 'relative' }, 'INVALID_INPUT', /spec\.cwd: an absolute path/],
    [{ root: './here' }, 'INVALID_INPUT', /spec\.root\.path/],
    [{ env: ['=x'] }, 'USAGE', /--env =x/],
    [{ env: ['NOT_SET'] }, 'USAGE', /--env NOT_SET/],
    [{ env: ['a-b=c'] }, 'INVALID_INPUT', /spec\.env/],
    [{ label: ['=x'] }, 'USAGE', /--label/],
    [{ label: ['bad key=x'] }, 'INVALID_INPUT', /labels/],
    [{ landlockBind: ['70000'] }, 'USAGE', /--landlock-bind 70000: it takes a TCP port/],
    [{ landlockRo: ['usr'] }, 'INVALID_INPUT', /spec\.landlock\.readable\.0/],
    [{ seccomp: 'moby' }, 'USAGE', /--seccomp moby: it takes one of strict, container, none, log/],
    [{ user: 'no name' }, 'USAGE', /--user no name: it takes a name/],
    [{ user: '70000' }, 'USAGE', /--user 70000: it takes .*an id from 0 to 65534/],
    [{ user: '0:99999999' }, 'USAGE', /id from 0 to 65534/],
    [{ stopSignal: 'NOPE' }, 'USAGE', /--stop-signal NOPE/],
    [{ stopGrace: '1y' }, 'USAGE', /--stop-grace 1y/],
    [{ stopGrace: '2h' }, 'INVALID_INPUT', /spec\.stopGraceMs/],
  ];
  for (const [options, code, reason] of cases) assert.throws(() => sandboxRequest(['true'], options, {}), refusedAs(code, reason));
  assert.throws(() => sandboxRequest(['a\0b'], {}, {}), refusedAs('INVALID_INPUT', /spec\.command\.0: text without NUL/));
  assert.throws(() => sandboxRequest([''], {}, {}), refusedAs('INVALID_INPUT', /argv\[0\] is empty/));
});

test('exec: sandbox and command, with or without --', () => {
  assert.deepEqual(execRequest(['web', '--', 'ls', '--', '-l'], {}, {}), { sandbox: 'web', request: { command: ['ls', '--', '-l'] } });
  assert.deepEqual(execRequest(['web', 'ls', '-l'], { user: '5', cwd: '/', env: ['A=b'] }, {}), {
    sandbox: 'web',
    request: { command: ['ls', '-l'], user: { uid: 5, groups: [] }, cwd: '/', env: { A: 'b' } },
  });
  assert.throws(() => execRequest(['web', '--'], {}, {}), refusedAs('USAGE', /no command/));
  assert.throws(() => execRequest(['web', '--env', 'A=b', '--', 'ls'], {}, {}), refusedAs('USAGE', /--env stands after the sandbox/));
});

test('values: durations, signals, ids, environment', () => {
  assert.deepEqual(
    ['10', '10s', '1.5s', '500ms', '2m', '1h', '0'].map((text) => durationMs('--grace', text)),
    [10_000, 10_000, 1500, 500, 120_000, 3_600_000, 0],
  );
  for (const text of ['', 's', '-1', '1e3', '1 s', 'ten']) assert.throws(() => durationMs('--grace', text), refusedAs('USAGE', /--grace/));
  assert.deepEqual(
    ['TERM', 'sigint', '9'].map((text) => signalOption('--signal', text)),
    ['SIGTERM', 'SIGINT', 'SIGKILL'],
  );
  assert.deepEqual(userOption('--user', '7', []), { uid: 7, groups: [] });
  assert.deepEqual(userOption('--user', 'www-data:0', ['7', 'log']), { uid: 'www-data', gid: 0, groups: [7, 'log'] });
  assert.equal(userOption('--user', undefined, []), undefined);
  for (const text of ['', ':', '1:', 'a:b:c', '-1', '4294967296', '65535', 'a b', 'a,b', 'x'.repeat(10_000)])
    assert.throws(() => userOption('--user', text, []), refusedAs('USAGE', /--user/));
  assert.deepEqual(rlimitOptions('--ulimit', ['nofile=5:6', 'core=-1', 'cpu=3:unlimited']), {
    nofile: { soft: 5, hard: 6 },
    core: { soft: 'unlimited', hard: 'unlimited' },
    cpu: { soft: 3, hard: 'unlimited' },
  });
  for (const text of ['nofile', 'nofile=', 'files=3', 'nofile=-2', 'nofile=1:2:3', `nofile=${'9'.repeat(30)}`])
    assert.throws(() => rlimitOptions('--ulimit', [text]), refusedAs('USAGE', /--ulimit/));
  assert.deepEqual(capabilityOptions('--cap-add', ['net_raw', 'CAP_CHOWN']), ['CAP_NET_RAW', 'CAP_CHOWN']);
  assert.throws(() => capabilityOptions('--cap-add', ['CAP_41']), refusedAs('USAGE', /CAP_41/));
  assert.deepEqual(environmentOptions('--env', ['A=1', 'A=2', 'B==='], {}), { A: '2', B: '==' });
});

test('types: repeated, comma-separated, each once', () => {
  assert.deepEqual(readTypes(undefined), [undefined]);
  assert.deepEqual(readTypes(['net,pid', 'net', 'mnt']), ['net', 'pid', 'mnt']);
  assert.throws(() => readTypes(['net,foo']), refusedAs('USAGE', /foo/));
});

test('status words of each state', () => {
  const now = new Date('2026-11-23T12:03:00Z');
  const ended = { endedAt: '2026-11-23T12:01:00.000Z' };
  const text = (change: Parameters<typeof sandboxFixture>[0]) => statusText(sandboxFixture(change), now);
  assert.equal(text({ state: 'placed', startedAt: null }), 'Placed');
  assert.equal(text({}), 'Up 3 minutes');
  assert.equal(text({ state: 'stopping' }), 'Stopping, up 3 minutes');
  assert.equal(text({ state: 'stopped', exit: { code: 0, signal: null }, ...ended }), 'Exited (0) 2 minutes ago');
  assert.equal(text({ state: 'stopped', exit: { code: null, signal: 9 }, ...ended }), 'Exited (137) 2 minutes ago');
  const error = new NsfleetError('COMMAND_NOT_FOUND', { attempted: 'start', target: 'x', reason: 'ENOENT' }).toWire();
  assert.equal(text({ state: 'failed', error, ...ended }), 'Failed COMMAND_NOT_FOUND 2 minutes ago');
  assert.equal(text({ state: 'lost', ...ended }), 'Lost 2 minutes ago');
  assert.equal(text({ state: 'removed', exit: { code: 3, signal: null }, ...ended }), 'Removed (3) 2 minutes ago');
  assert.equal(exitCodeOf({ code: null, signal: 15 }), 143);
  assert.equal(exitText({ code: null, signal: 9 }), 'killed by SIGKILL (137)');
});

test('short ids stay unique', () => {
  const a = '0193b2c4-7d00-7000-8000-00000000000a';
  const b = '0193b2c4-7d00-7000-8000-00000000000b';
  const c = '11111111-2222-4333-8444-555555555555';
  const short = shortIds([a, b, c]);
  assert.equal(short.get(c), '11111111-222');
  assert.equal(short.get(a), a);
  assert.equal(short.get(b), b);
});
