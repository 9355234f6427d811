/** What a sandbox really got comes back through the whole stack; what a host cannot give is refused with its list, or gone without. */
import assert from 'node:assert/strict';
import { readFileSync, readlinkSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { readKernelFacts } from '#agent/sandbox/kernel-facts.ts';
import { SandboxDetail } from '#shared/resources.ts';
import { startFleet, until } from '#test/support/fleet.ts';
import type { Fleet } from '#test/support/fleet.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { statusField } from '#test/support/shim.ts';

leakCheck();

const kernel = readKernelFacts(true);
let fleet: Fleet;
before(async () => {
  fleet = fileResources.use(await startFleet());
});

const show = (name: string): Promise<SandboxDetail> => fleet.client.call('sandboxShow', { params: { sandbox: name } });
const seen = (name: string): Promise<SandboxDetail> =>
  until('the agent to tell what it got', async () => {
    const sandbox = await show(name);
    return sandbox.observed === null ? null : sandbox;
  });

async function run(name: string, ...options: string[]): Promise<void> {
  const { code, stderr } = await fleet.cli(['sandbox', 'run', '-d', '--name', name, ...options, '--', 'sleep', '600']);
  assert.equal(code, 0, stderr);
}

describe('a sandbox tells what it got', () => {
  it('as the kernel has it, whatever the spec says', async () => {
    await run(
      'seen',
      '--user',
      '1000:50',
      '--group-add',
      '7',
      '--umask',
      '027',
      '--ulimit',
      'nofile=100:200',
      '--nice',
      '5',
      '--oom-score-adj',
      '300',
    );
    const sandbox = await seen('seen');
    const { observed, commandPid, idRange } = sandbox;
    assert.ok(observed !== null && commandPid !== null && idRange !== null);
    const status = readFileSync(`/proc/${commandPid}/status`, 'utf8');
    const proc = (name: string): string => readFileSync(`/proc/${commandPid}/${name}`, 'utf8');
    const numbers = (text: string): number[] => text.trim().split(/\s+/).map(Number);
    assert.equal(observed.pid, commandPid);
    assert.deepEqual(observed.uidMap, [{ inside: 0, outside: idRange.start, count: idRange.count }]);
    assert.deepEqual(numbers(proc('gid_map')), [0, observed.gidMap[0]?.outside, observed.gidMap[0]?.count]);
    assert.deepEqual(observed.uid, { outside: idRange.start + 1000, inside: 1000 });
    assert.equal(observed.uid.outside, numbers(statusField(status, 'Uid'))[1]);
    assert.deepEqual(observed.gid, { outside: idRange.start + 50, inside: 50 });
    assert.deepEqual(observed.groups, [{ outside: idRange.start + 7, inside: 7 }]);
    assert.deepEqual(Object.values(observed.capabilities), [[], [], [], [], []]);
    assert.equal(observed.noNewPrivs, statusField(status, 'NoNewPrivs') === '1');
    assert.equal({ disabled: '0', strict: '1', filter: '2' }[observed.seccomp.mode], statusField(status, 'Seccomp'));
    assert.equal(String(observed.seccomp.filters), statusField(status, 'Seccomp_filters'));
    assert.deepEqual([observed.umask, observed.nice, observed.oomScoreAdj], ['0027', 5, 300]);
    assert.deepEqual(observed.rlimits.nofile, { soft: 100, hard: 200 });
    assert.equal(proc('oom_score_adj').trim(), '300');
    assert.deepEqual(observed.cgroups, proc('cgroup').trim().split('\n'));
    assert.equal(observed.root?.type, 'tmpfs');
    assert.match(observed.root?.options ?? '', /^ro,nosuid,nodev/);
    assert.equal(observed.mountCount, proc('mountinfo').trim().split('\n').length);
    assert.ok(observed.mounts.some(({ target, type }) => target === '/proc' && type === 'proc'));
    for (const path of ['/proc/acpi', '/proc/keys', '/sys/firmware']) assert.ok(observed.masked.includes(path), path);
    assert.deepEqual(observed.interfaces, ['lo']);
    assert.deepEqual([observed.hostname, observed.domainname], ['seen', '']);
    assert.deepEqual(observed.timeOffsets, { monotonicNs: '0', boottimeNs: '0' });
    assert.deepEqual(observed.unread, []);
    for (const { type, inode } of sandbox.namespaces) assert.equal(readlinkSync(`/proc/${commandPid}/ns/${type}`), `${type}:[${inode}]`);
    const text = (await fleet.cli(['sandbox', 'show', 'seen'])).stdout;
    for (const word of ['nofile +100 of 200', 'no new privs: +yes', `1000 \\(outside ${idRange.start + 1000}\\)`, 'effective +none'])
      assert.match(text, new RegExp(word));
    assert.deepEqual(SandboxDetail.parse(JSON.parse((await fleet.cli(['sandbox', 'show', '--json', 'seen'])).stdout)).observed, observed);
  });

  it('still after its end, and after its agent was killed', async () => {
    await run('lasting', '--nice', '3');
    const [agent] = fleet.agents;
    assert.ok(agent);
    await agent.end('SIGKILL');
    await agent.start();
    const { observed } = await seen('lasting');
    assert.equal(observed?.nice, 3);
    assert.equal((await fleet.cli(['sandbox', 'stop', '--grace', '0s', 'lasting'])).code, 0);
    assert.deepEqual((await show('lasting')).observed, observed);
  });
});

describe('what the host cannot give', () => {
  const tooMany = kernel.openFilesMax + 1;

  it('is refused before anything is made, with the list of all that is missing', async () => {
    const body = { name: 'refused', spec: { command: ['true'], rlimits: { nofile: { soft: 1, hard: tooMany } } } };
    await assert.rejects(fleet.client.call('sandboxCreate', { query: { wait: 'running' }, body }), (error: unknown) => {
      assert.ok(error instanceof Error && 'code' in error && 'missing' in error);
      assert.equal(error.code, 'SPEC_UNAVAILABLE');
      assert.deepEqual(
        (error.missing as { what: string; asked: string }[]).map(({ what, asked }) => [what, asked]),
        [['rlimit nofile', String(tooMany)]],
      );
      return true;
    });
    const refused = await show('refused');
    assert.deepEqual([refused.state, refused.initPid, refused.lacks, refused.error?.missing?.length], ['failed', null, [], 1]);
    const told = await fleet.cli(['sandbox', 'run', '--rm', '--ulimit', `nofile=1:${tooMany}`, '--', 'true']);
    assert.equal(told.code, 125);
    assert.match(told.stderr, new RegExp(`SPEC_UNAVAILABLE[\\s\\S]*rlimit nofile[\\s\\S]*${tooMany}[\\s\\S]*--allow-degraded`));
    const dry = await fleet.cli(['sandbox', 'run', '--dry-run', '--ulimit', `nofile=1:${tooMany}`, '--', 'true']);
    assert.match(dry.stderr, /SPEC_UNAVAILABLE/);
  });

  it('is gone without where that is allowed, and then stands in the status; what enters goes without it too', async () => {
    await run('degraded', '--allow-degraded', '--ulimit', `nofile=1024:${tooMany}`);
    const sandbox = await seen('degraded');
    assert.deepEqual(
      sandbox.lacks.map(({ what, asked }) => [what, asked]),
      [['rlimit nofile', String(tooMany)]],
    );
    const got = sandbox.observed?.rlimits.nofile?.hard;
    assert.equal(String(got), sandbox.lacks[0]?.has, 'it got what the list says that there is');
    assert.match((await fleet.cli(['sandbox', 'show', 'degraded'])).stdout, /Runs without: +rlimit nofile: asked for/);
    const entered = await fleet.cli(['sandbox', 'exec', 'degraded', '--', 'sh', '-c', 'ulimit -Hn']);
    assert.equal(entered.stdout.trim(), String(got), entered.stderr);
  });

  it('a capability is the host’s policy to give', async () => {
    const { code, stderr } = await fleet.cli(['sandbox', 'run', '--rm', '--cap-add', 'net_raw', '--', 'true']);
    assert.equal(code, 125);
    assert.match(stderr, /POLICY_REFUSED[\s\S]*CAP_NET_RAW/);
  });
});
