/** The inventory's commands in front of a scripted fleet: what is asked of the API, and what people see. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NsfleetError } from '#shared/errors.ts';
import type { Holder, NamespaceDetail } from '#shared/resources.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { hostFixture, namespaceFixture, seen } from './fixtures.ts';
import { fileFleet } from './fleet.ts';

leakCheck();
const dirs = temporaryDirectories();
const { fleet, run, asked } = fileFleet(dirs);
const lines = (text: string) => text.split('\n').slice(0, -1);

const unset = {
  start: null,
  tid: null,
  fd: null,
  uid: null,
  comm: null,
  path: null,
  mountNamespace: null,
  detail: null,
  since: null,
  namespace: null,
};
const holder = (change: Partial<Holder> & Pick<Holder, 'kind'>): Holder => ({ pid: null, ...unset, ...change });
const detailed = (change: Partial<NamespaceDetail> = {}): NamespaceDetail => ({
  ...namespaceFixture(),
  holders: [],
  parentId: null,
  ownerId: '7',
  ...change,
});

test('ns ls: what the options mean for the API; moments are read here', async () => {
  await run('ns', 'ls', '--filter', 'current', '--at', '-2h', '--host', 'web-1');
  const [query] = asked('namespaceList');
  assert.equal(query?.['filter'], 'current');
  assert.equal(query?.['at'], '2026-11-23T10:03:00.000Z');
  await run('ns', 'ls', '--fresh');
  assert.equal(asked('namespaceList')[1]?.['live'], 'true');
  for (const argv of [
    ['--at', 'soon'],
    ['--at', '-1h', '--live'],
    ['--at', '-1h', '--ended'],
    ['--at', '-1h', '--tree', 'process'],
    ['--pid', '1'],
    ['--pid', '0', '--host', 'h1'],
    ['--pid', 'x', '--host', 'h1'],
    ['--tree', 'sideways'],
    ['--columns', 'NOPE'],
  ]) {
    const { code, stderr } = await run('ns', 'ls', ...argv);
    assert.equal(code, 2, argv.join(' '));
    assert.match(stderr, /^error: USAGE: .+\n  what to do: /u);
  }
});

test('ns ls: names, insides and lsns’s words for columns; trees in text and JSON', async () => {
  const id = '3f2a'.repeat(16);
  fleet.namespaces.splice(
    0,
    Infinity,
    namespaceFixture({ type: 'user', key: 'id:1', owner: null, details: { uidMap: [{ inside: 0, outside: 1000, count: 1 }] } }),
    namespaceFixture({
      id: '2',
      key: 'id:2',
      owner: 'id:1',
      names: [
        { source: 'docker', name: id },
        { source: 'systemd', name: 'a\\xffb\u001b.service' },
      ],
      details: { links: 2, addresses: 1, routes: 0, listening: 3 },
    }),
  );
  const { stdout } = await run('ns', 'ls');
  assert.equal(lines(stdout)[0], 'ID         NS TYPE NPROCS PID UID HOST  NAME                COMMAND');
  assert.match(lines(stdout)[2]!, / docker:3f2a3f2a3f2a \/sbin\/init splash$/u);
  assert.equal(lines((await run('ns', 'ls', '--columns', 'NAMES', '-n')).stdout)[1], 'docker:3f2a3f2a3f2a,systemd:a\\xffb\\x1b.service');
  assert.deepEqual(lines((await run('ns', 'ls', '-o', 'DETAIL', '-n')).stdout), [
    'uids 0 → 1000',
    '2 links, 1 address, 0 routes, 3 listening',
  ]);
  assert.match((await run('ns', 'ls', '-o', '+AGE,ons')).stdout, /^ID +NS .* NAME +AGE +OWNER COMMAND\n/u);
  const tree = await run('ns', 'ls', '--tree', '-o', 'TYPE,NS');
  assert.deepEqual(lines(tree.stdout), ['TYPE NS', 'user 4026531833', 'net  └─4026531833']);
  const json = JSON.parse((await run('ns', 'ls', '-T', '--json')).stdout) as { namespaces: { id: string; treeParent: string | null }[] };
  assert.deepEqual(
    json.namespaces.map(({ id: number, treeParent }) => [number, treeParent]),
    [
      ['1', null],
      ['2', '1'],
    ],
  );
});

test('ns ls --pid: the namespaces that the process lives in, and no others', async () => {
  fleet.namespaces.splice(
    0,
    Infinity,
    namespaceFixture({ id: '1', key: 'id:1' }),
    namespaceFixture({ id: '2', key: 'id:2' }),
    namespaceFixture({ id: '3', type: 'uts', key: 'id:2' }),
  );
  const { bootId } = namespaceFixture();
  const namespaces = [null, null, null, null, null, null, 'id:2', null];
  const found = { pid: 5, start: '1', ppid: 1, uid: 0, comm: 'x', namespaces, forChildren: [null, null] };
  fleet.answers.processList = async () => ({ host: { id: 'h1', name: 'web-1', bootId }, processes: [found], nextCursor: null });
  assert.deepEqual(lines((await run('ns', 'ls', '--host', 'web-1', '--pid', '5', '-n', '-o', 'ID')).stdout), ['2']);
  assert.deepEqual(lines((await run('ns', 'ls', '--host', 'web-1', '--task', '5', '-n', '-o', 'ID')).stdout), ['2']);
  fleet.answers.processList = async () => ({ host: { id: 'h1', name: 'web-1', bootId }, processes: [], nextCursor: null });
  const { code, stderr } = await run('ns', 'ls', '--host', 'web-1', '--pid', '5');
  assert.equal(code, 3);
  assert.match(stderr, /^error: PROCESS_NOT_FOUND: .* 5: web-1 has not reported such a process/u);
});

test('ns show: every kind of holder in words, many cut with a count, what each type is like inside', async () => {
  const process = (pid: number) => holder({ kind: 'process', pid, comm: `worker\n${pid}`, uid: 1000 });
  const held = [
    ...Array.from({ length: 12 }, (_, index) => process(100 + index)),
    holder({ kind: 'thread', pid: 5, tid: 6, comm: 'a', since: seen }),
    holder({ kind: 'pid_for_children', pid: 5, comm: 'a' }),
    holder({ kind: 'fd', pid: 5, fd: 3, comm: 'a', uid: 0, since: seen }),
    holder({ kind: 'thread_fd', pid: 5, tid: 6, fd: 4 }),
    holder({ kind: 'socket', pid: 5, fd: 7, comm: 'a', detail: 'tcp 127.0.0.1:80' }),
    holder({ kind: 'tun', pid: 5, fd: 8, comm: 'a', detail: 'tun0' }),
    holder({ kind: 'mount', path: '/run/netns/b\\xff\u001b[31m', mountNamespace: 'id:1', detail: 'over-mounted', since: seen }),
    holder({ kind: 'parent', namespace: { id: '9', type: 'user', key: 'id:9' } }),
    holder({ kind: 'owner', namespace: { id: '10', type: 'net', key: 'id:10' } }),
  ];
  fleet.answers.namespaceShow = async () =>
    detailed({
      holders: held,
      partial: true,
      names: [{ source: 'ip-netns', name: 'blue' }],
      details: {
        uidMap: [{ inside: 0, outside: 1_879_048_192, count: 65_536 }],
        gidMap: [],
        setgroups: 'deny',
        hostname: 'x\u001b[2J',
        monotonicOffsetNs: '-1500000000',
        boottimeOffsetNs: '3600000000000',
        links: 2,
        peers: [
          { netnsid: 0, key: 'id:12' },
          { netnsid: 1, key: null },
        ],
        initPid: 77,
        rootSource: '/dev/vda[/x]',
        rootPropagation: 'shared',
        cgroupRoot: '/a/b',
        unread: ['listening: EACCES'],
      },
    });
  const { stdout } = await run('ns', 'show', '1');
  const text = lines(stdout);
  for (const line of [
    'Names:            ip-netns:blue',
    'Uid map:          0–65535 → 1879048192–1879113727',
    'Gid map:          not set yet',
    'Setgroups:        denied',
    'Hostname:         x\\x1b[2J',
    'Monotonic offset: -1.5 s',
    'Boottime offset:  +3600 s',
    'Peers:            netnsid 0: id:12',
    '                  netnsid 1: not in the inventory',
    'Init pid:         77',
    'Root:             /dev/vda[/x]',
    'Not readable:     listening: EACCES',
    'Holders:          12 processes, 1 thread, 1 process for its children, 1 descriptor, 1 descriptor of a thread, 1 socket, 1 tun device, 1 mount, 1 namespace below it, 1 namespace that it owns',
    '                  process 109 (worker\\x0a109), uid 1000',
    '                  … and 2 more processes (--all)',
    '                  thread 6 of process 5 (a), for 3 minutes',
    '                  pid_for_children of process 5 (a)',
    '                  fd 3 of process 5 (a), uid 0, for 3 minutes',
    '                  fd 4 of thread 6 of process 5',
    '                  socket fd 7 of process 5 (a): tcp 127.0.0.1:80',
    '                  tun fd 8 of process 5 (a): tun0',
    '                  mount /run/netns/b\\xff\\x1b[31m in mnt namespace id:1, over-mounted, for 3 minutes',
    '                  below it: user namespace 9 (id:9)',
    '                  owned by it: net namespace 10 (id:10)',
  ])
    assert.ok(text.includes(line), `${line}\n---\n${stdout}`);
  assert.equal(
    text.some((line) => line.includes('process 111')),
    false,
  );
  assert.match(stdout, /^Partial: +the last scan could not see everything/mu);
  assert.match((await run('ns', 'show', '1', '--all')).stdout, /process 111 \(worker\\x0a111\), uid 1000/u);
  assert.equal((await run('ns', 'show', '1', '--type', 'nett')).code, 2);
});

test('ns why: the sentences, with what processes chose made harmless', async () => {
  const namespace = detailed();
  fleet.answers.namespaceWhy = async () => ({
    namespace,
    alive: true,
    sentences: ['Process 5 (a\n\u001b[2Jb) lives in it.', 'It goes then.'],
  });
  const { code, stdout } = await run('ns', 'why', '1', '--host', 'web-1', '--type', 'net');
  assert.equal(code, 0);
  assert.deepEqual(lines(stdout), [
    'net namespace 1 (inode 4026531833) on web-1, /sbin/init splash:',
    '  Process 5 (a\\x0a\\x1b[2Jb) lives in it.',
    '  It goes then.',
  ]);
  assert.deepEqual(asked('namespaceWhy'), [{ host: 'web-1', type: 'net' }]);
  assert.equal((JSON.parse((await run('ns', 'why', '1', '--json')).stdout) as { alive: boolean }).alive, true);
});

test('ns diff: exit codes of diff(1), between moments and between hosts', async () => {
  const counts = { before: 5, after: 6, added: 1, removed: 0, between: 2, changed: 1 };
  const changes = { 'details.hostname': { from: 'a', to: 'b' } };
  fleet.answers.namespaceDiff = async ({ query }) => ({
    from: query.from,
    to: query.to,
    counts,
    added: [namespaceFixture({ id: '12' })],
    removed: [],
    changed: [{ namespace: namespaceFixture({ id: '3', type: 'uts' }), changes }],
  });
  const found = await run('ns', 'diff', '--from', '-1h', '--host', 'web-1');
  assert.equal(found.code, 1);
  assert.deepEqual(lines(found.stdout), [
    '2026-11-23T11:03:00.000Z to 2026-11-23T12:03:00.000Z: 5 namespaces, then 6: 1 came, 0 went, 1 changed, 2 came and went between',
    '  ID         NS TYPE NPROCS HOST  WHAT',
    '~  3 4026531833 uts      83 web-1 hostname: a → b',
    '+ 12 4026531833 net      83 web-1 /sbin/init splash',
  ]);
  Object.assign(counts, { added: 0, changed: 0, after: 5 });
  fleet.answers.namespaceDiff = async ({ query }) => ({ from: query.from, to: query.to, counts, added: [], removed: [], changed: [] });
  assert.equal((await run('ns', 'diff', '--from', '-1h')).code, 0, 'what came and went between is no difference');
  const side = (name: string, namespaces: number) => ({ id: name, name, namespaces });
  const group = { type: 'net', by: 'name', name: 'docker:\u001bweb', left: 0, right: 7, leftIds: [], rightIds: ['1', '2'] } as const;
  fleet.answers.hostDiff = async () => ({
    left: side('a', 3),
    right: side('b', 10),
    same: 3,
    groups: [{ ...group, leftIds: [], rightIds: ['1', '2'] }],
  });
  const hosts = await run('ns', 'diff', 'a', 'b', '--at', '-1h');
  assert.equal(hosts.code, 1);
  assert.deepEqual(lines(hosts.stdout), [
    'a: 3 namespaces, b: 10, 3 of them on both',
    '  TYPE LEFT RIGHT BY   NAME           IDS',
    '+ net     0     7 name docker:\\x1bweb right 1 2 …',
  ]);
  for (const argv of [[], ['a'], ['a', 'b', '--from', '-1h'], ['--from', '-1h', '--at', '-1h'], ['a', 'b', 'c']])
    assert.equal((await run('ns', 'diff', ...argv)).code, 2, argv.join(' '));
});

test('ns leaks: who pins what, and for how long', async () => {
  fleet.answers.leakList = async () => ({
    leaks: [
      {
        id: '1',
        rule: 'net-without-process',
        hostId: 'h1',
        hostName: 'web-1',
        namespace: { id: '5', type: 'net', key: 'id:5', inode: 77 },
        subject: '',
        since: seen,
        foundAt: seen,
        clearedAt: null,
        reason: 'no process has lived in it',
        pins: ['it is bind-mounted on /x\u001b[2J'],
        detail: {},
      },
    ],
    nextCursor: null,
  });
  const { stdout } = await run('ns', 'leaks', '--rule', 'net-without-process', '--host', 'web-1', '--all', '--filter', 'open');
  assert.deepEqual(lines(stdout), [
    'FOR       RULE                HOST  ID TYPE NS',
    '3 minutes net-without-process web-1  5 net  77',
    '    no process has lived in it',
    '      it is bind-mounted on /x\\x1b[2J',
  ]);
  const { rule, host, all, filter } = asked('leakList')[0] ?? {};
  assert.deepEqual([rule, host, all, filter], ['net-without-process', 'web-1', 'true', 'open']);
  assert.match((await run('ns', 'leaks', '--rule', 'nope')).stderr, /choose from net-without-process, /u);
});

test('host show: sources, why not better ones, and what is hidden by reason', async () => {
  const { facts, scan } = hostFixture();
  fleet.hosts.splice(
    0,
    Infinity,
    hostFixture({
      facts: {
        ...facts!,
        scanSourceReason: 'no clang when it was built',
        changeSource: 'proc-connector',
        changeSourceReason: 'tracefs: EPERM',
      },
      scan: { ...scan!, unreadable: 1, hidden: { fd_eacces: 12, covered_mount: 1 }, partial: true },
    }),
  );
  const { stdout } = await run('host', 'show', 'web-1');
  assert.match(stdout, /^Scans: +through \/proc: no clang when it was built$/mu);
  assert.match(stdout, /^Changes: +.*proc connector.*: tracefs: EPERM$/mu);
  assert.match(
    stdout,
    /^Hidden: +1 process with a namespace that could not be read\n +12 descriptors could not be looked into: EACCES\n +1 covered mount$/mu,
  );
  assert.match(stdout, /^Complete: +no: /mu);
  assert.equal(
    (await run('host', 'ls', '-n', '-o', 'SCAN,CHANGES,HIDDEN,PARTIAL', '--filter', 'partial')).stdout,
    'proc proc-connector 14 yes\n',
  );
  assert.equal(asked('hostList').at(-1)?.['filter'], 'partial');
});

test('a filter that does not parse: a caret below the place, blanks kept', async () => {
  const reason = 'Unexpected character: = (column 8)\n  type   = "net"\n         ^';
  fleet.answers.namespaceList = async () => {
    throw new NsfleetError('FILTER_INVALID', { attempted: 'read filter', target: '"x"', reason });
  };
  const { code, stderr } = await run('ns', 'ls', '--filter', '  type   = "net"');
  assert.equal(code, 2);
  assert.deepEqual(stderr.split('\n').slice(1, 3), ['    type   = "net"', '           ^']);
});
