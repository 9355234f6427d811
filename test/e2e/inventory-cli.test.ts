/** The inventory's commands against real namespaces: one network namespace, held by a process, a descriptor and a bind mount, from its birth to its end. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { api } from '#shared/api.ts';
import { Event } from '#shared/resources.ts';
import type { Namespace } from '#shared/resources.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { startFleet, until } from '#test/support/fleet.ts';
import type { Fleet } from '#test/support/fleet.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';

leakCheck();
const { root } = temporaryDirectories();

const heardMs = 30_000;
let fleet: Fleet;
let host: string;
before(async () => {
  const rules = join(root, 'leak-rules.json');
  // Two seconds; what is mounted below the test's own directory is nobody's purpose.
  writeFileSync(rules, JSON.stringify({ 'net-without-process': { minutes: 2 / 60 }, 'user-growth': { enabled: false } }));
  process.env['NSFLEET_LEAK_RULES'] = rules;
  fileResources.defer(() => {
    delete process.env['NSFLEET_LEAK_RULES'];
  });
  fleet = fileResources.use(await startFleet());
  host = fleet.hostIds[0] ?? '';
});

async function run(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await fleet.cli(args);
  assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
  return stdout;
}

const list = async (...args: string[]): Promise<Namespace[]> =>
  api.namespaceList.reply.partial({ nextCursor: true }).parse(JSON.parse(await run('ns', 'ls', '--json', ...args))).namespaces;
const show = async (id: string) => api.namespaceShow.reply.parse(JSON.parse(await run('ns', 'show', '--json', id)));

/** Killed when the file ends, if it was not before. */
function started(child: ChildProcess): ChildProcess & { pid: number } {
  const exited = once(child, 'exit');
  fileResources.defer(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  assert.ok(child.pid !== undefined);
  return child as ChildProcess & { pid: number };
}

/** A process that sleeps in a network namespace of its own. */
async function startAlone(): Promise<ChildProcess & { pid: number; inode: number }> {
  const child = started(spawn('unshare', ['--net', 'sleep', '600'], { stdio: 'ignore' }));
  await until('a network namespace', () => (readlinkSync(`/proc/${child.pid}/ns/net`) === readlinkSync('/proc/self/ns/net') ? null : true));
  return Object.assign(child, { inode: statSync(`/proc/${child.pid}/ns/net`).ino });
}

async function endOf(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

describe('one namespace from its birth to its end', () => {
  const moments = { before: '', during: '' };
  let own: Namespace;
  let living: ChildProcess & { pid: number; inode: number };
  let keeper: ChildProcess & { pid: number };
  const mounted = join(root, 'kept net');
  let isMounted = false;

  it('is found by filter, by pid, in trees, and was not there before', async () => {
    moments.before = new Date().toISOString();
    living = await startAlone();
    const filter = `type == "net" && inode == ${living.inode} && processes == 1`;
    own = await until('it to be reported', async () => (await list('--filter', filter))[0] ?? null, heardMs);
    assert.equal(own.leader?.pid, living.pid);
    const ofProcess = await list('--host', host, '--pid', String(living.pid));
    assert.deepEqual(
      ofProcess.filter(({ type }) => type === 'net').map(({ id }) => id),
      [own.id],
    );
    assert.ok(ofProcess.length >= 7, 'one of each type that the agent may read');
    assert.equal((await fleet.cli(['ns', 'ls', '--host', host, '--pid', '4194303'])).code, 3);

    const tree = async (relation: string, ...args: string[]) => {
      const text = await run('ns', 'ls', '--tree', relation, '--host', host, '-o', 'NS,ID,TYPE', ...args);
      return text.split('\n').find((line) => line.includes(` ${own.id} net`)) ?? '';
    };
    assert.match(await tree('owner'), /^[├└]─\d+ /u);
    assert.match(await tree('process', '--type', 'net'), /^[├└]─\d+ /u);
    assert.match(await tree('parent', '--type', 'net'), /^\d+ /u);

    moments.during = await until('a moment after it was reported', () => {
      const now = new Date().toISOString();
      return now > own.lastSeen ? now : null;
    });
    const atBefore = await list('--type', 'net', '--at', moments.before);
    assert.equal(
      atBefore.some(({ id }) => id === own.id),
      false,
    );
    assert.equal(
      (await list('--type', 'net', '--at', moments.during)).some(({ id }) => id === own.id),
      true,
    );
    assert.equal(
      (await list('--type', 'net', '--live')).some(({ id }) => id === own.id),
      true,
    );
  });

  it('is shown with a process, a descriptor and a bind mount that hold it, and why it is alive', async () => {
    keeper = started(spawn('sh', ['-c', `exec 9< /proc/${living.pid}/ns/net; echo ready; read x`], { stdio: ['pipe', 'pipe', 'inherit'] }));
    await once(keeper.stdout ?? keeper, 'data');
    writeFileSync(mounted, '');
    execFileSync('mount', ['--bind', `/proc/${living.pid}/ns/net`, mounted]);
    isMounted = true;
    fileResources.defer(() => {
      if (isMounted) execFileSync('umount', [mounted]);
    });
    const found = await until(
      'all three holders',
      async () => {
        const { holders } = await show(own.id);
        const kinds = new Set(holders.map(({ kind }) => kind));
        return kinds.has('process') && kinds.has('fd') && kinds.has('mount') ? holders : null;
      },
      heardMs,
    );
    const descriptor = found.find(({ kind, pid }) => kind === 'fd' && pid === keeper.pid);
    assert.equal(descriptor?.fd, 9);
    assert.ok(found.some(({ kind, path }) => kind === 'mount' && path === mounted));

    const text = await run('ns', 'show', own.id);
    assert.match(text, new RegExp(`process ${living.pid} \\(sleep\\), uid 0$`, 'mu'));
    assert.match(text, new RegExp(`fd 9 of process ${keeper.pid} \\(sh\\), uid 0, for `, 'u'));
    assert.ok(text.includes(`mount ${mounted} in mnt namespace id:`) || text.includes(`mount ${mounted} in mnt namespace ino:`), text);
    assert.match(text, /^Links: +1$/mu);
    const why = await run('ns', 'why', own.id);
    assert.match(why, new RegExp(`Process ${living.pid} \\(sleep\\) lives in it\\.`, 'u'));
    assert.match(why, new RegExp(`Process ${keeper.pid} \\(sh\\) has it open as descriptor 9, since `, 'u'));
    assert.ok(why.includes(`It is bind-mounted on ${mounted} in mount namespace `), why);
    assert.match(why, /It goes when all of these are gone\./u);
  });

  it('leaks when its process is gone: who pins it, and for how long', async () => {
    await endOf(living);
    await endOf(keeper);
    const leak = await until(
      'the leak',
      async () => {
        const { leaks } = api.leakList.reply
          .partial({ nextCursor: true })
          .parse(JSON.parse(await run('ns', 'leaks', '--json', '--rule', 'net-without-process', '--host', host)));
        const mine = leaks.find(({ namespace }) => namespace?.id === own.id);
        return mine !== undefined && mine.pins.every((pin) => !pin.includes('descriptor')) ? mine : null;
      },
      heardMs,
    );
    assert.ok(
      leak.pins.some((pin) => pin.includes(mounted)),
      leak.pins.join('\n'),
    );
    const text = await run('ns', 'leaks', '--filter', `namespaceId == "${own.id}"`);
    assert.match(text, /^FOR +RULE +HOST +ID TYPE +NS$/mu);
    assert.match(text, new RegExp(`^\\d+ seconds? +net-without-process +host-0 +${own.id} net +\\d+\n    no process has lived in`, 'mu'));
    assert.ok(text.includes(`\n      it is bind-mounted on ${mounted} in`), text);
    assert.match(await run('ns', 'ls', '--persistent', '--type', 'net'), new RegExp(`^ *${own.id} +\\d+ net +0 +\\d+ `, 'mu'));
  });

  it('is history when its last holder is gone', async () => {
    execFileSync('umount', [mounted]);
    isMounted = false;
    await until('its end', async () => ((await show(own.id)).current ? null : true), heardMs);
    assert.match(await run('ns', 'why', own.id), /It is gone since \d{4}-/u);
    const history = api.namespaceHistory.reply
      .partial({ nextCursor: true })
      .parse(JSON.parse(await run('ns', 'history', '--json', '--inode', own.id)));
    assert.ok(history.intervals.some(({ id, current }) => id === own.id && !current));
    const types = history.events.filter(({ namespaceId }) => namespaceId === own.id).map(({ type }) => type);
    assert.equal(types[0], 'namespace.appeared');
    for (const type of ['holder.lost', 'leak.found', 'namespace.gone']) assert.ok(types.includes(type), `${type} of ${types.join(' ')}`);
    const text = await run('ns', 'history', own.id);
    assert.match(text, new RegExp(`namespace\\.appeared +net ${living.inode} \\(sleep\\)`, 'u'));
    assert.match(
      await run('host', 'timeline', host, '--since', moments.before, '--type', 'namespace.gone'),
      new RegExp(` ${own.id} net `, 'u'),
    );

    assert.equal(
      (await list('--type', 'net')).some(({ id }) => id === own.id),
      false,
    );
    assert.equal(
      (await list('--type', 'net', '--ended')).some(({ id }) => id === own.id),
      true,
    );
    const [then] = (await list('--type', 'net', '--at', moments.during)).filter(({ id }) => id === own.id);
    assert.equal(then?.leader?.pid, living.pid, 'as it was, with the process that lived in it');
    const past = await fleet.cli(['ns', 'diff', '--json', '--from', moments.before, '--to', moments.during, '--type', 'net']);
    assert.equal(past.code, 1, 'differences');
    assert.ok(api.namespaceDiff.reply.parse(JSON.parse(past.stdout)).added.some(({ id }) => id === own.id));
    const gone = await fleet.cli(['ns', 'diff', '--from', moments.during, '--type', 'net']);
    assert.match(gone.stdout, new RegExp(`^- +${own.id} +${living.inode} net `, 'mu'));
    const none = await fleet.cli(['ns', 'diff', '--from', moments.during, '--to', moments.during, '--host', host]);
    assert.deepEqual([none.code, none.stderr], [0, '']);
    const twoHosts = await fleet.cli(['ns', 'diff', host, 'host-0']);
    assert.equal(twoHosts.code, 0, twoHosts.stdout);
    await until(
      'the leak to be cleared',
      async () => ((await run('ns', 'leaks', '--filter', `namespaceId == "${own.id}"`)).includes(own.id) ? null : true),
      heardMs,
    );
    assert.match(await run('ns', 'leaks', '--all', '--filter', `namespaceId == "${own.id}"`), / CLEARED$/mu);
  });
});

describe('what is asked wrongly', () => {
  it('a filter that does not parse: the place is shown', async () => {
    for (const command of [
      ['ns', 'ls'],
      ['host', 'ls'],
      ['sandbox', 'ls'],
      ['events'],
      ['events', '--follow'],
      ['ns', 'leaks'],
      ['host', 'timeline', host],
    ]) {
      const { code, stdout, stderr } = await fleet.cli([...command, '--filter', 'true &&  oops(1)']);
      assert.deepEqual([code, stdout.split('\n').length <= 2], [2, true], `${command.join(' ')}: ${stdout}`);
      assert.match(stderr, /^error: FILTER_INVALID: .*\(column \d+\)\n {2}true && {2}oops\(1\)\n {2} +\^\n/u, command.join(' '));
      const [, text = '', caret = ''] = stderr.split('\n');
      assert.equal(text.indexOf('oops'), caret.indexOf('^'), stderr);
    }
  });
});

describe('events --follow', () => {
  it('goes on over a controller that is killed: none missed, none repeated', async () => {
    const { last } = await fleet.client.call('eventList', { query: { namespace: '0' } });
    const main = fileURLToPath(new URL('../../controller/cli/main.ts', import.meta.url));
    const address = fleet.api;
    const args = [main, '--api', address, '--token-file', fleet.tokenFile, 'events', '--follow', '--json', '--since', last];
    const follower = started(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] }));
    const said = { stdout: '', stderr: '' };
    follower.stdout?.setEncoding('utf8').on('data', (text: string) => (said.stdout += text));
    follower.stderr?.setEncoding('utf8').on('data', (text: string) => (said.stderr += text));
    const came = () =>
      said.stdout
        .split('\n')
        .slice(0, -1)
        .map((line) => Event.parse(JSON.parse(line)));
    const appeared = (inode: number) =>
      until(`net ${inode} to be told`, () => (came().some(({ detail }) => detail['inode'] === inode) ? true : null), heardMs);

    await appeared((await startAlone()).inode);
    for (let round = 0; round < 2; round += 1) {
      await fleet.controller.end('SIGKILL');
      const meanwhile = await startAlone();
      await until('the break to be told', () =>
        said.stderr.split('reconnecting, to go on after event').length === round + 2 ? true : null,
      );
      await fleet.controller.start({ NSFLEET_API_LISTEN: new URL(address).host });
      await fleet.ready();
      await appeared(meanwhile.inode);
      await appeared((await startAlone()).inode);
    }
    assert.equal(said.stderr.split('connected again').length, 3, said.stderr);
    const all = await fleet.client.call('eventList', { query: { since: last, limit: 10_000 } });
    const end = BigInt(all.events.at(-1)?.seq ?? '0');
    await until('all of them', () => (BigInt(came().at(-1)?.seq ?? '0') >= end ? true : null), heardMs);
    assert.deepEqual(
      came().filter(({ seq }) => BigInt(seq) <= end),
      all.events,
    );
    await endOf(follower);
  });
});
