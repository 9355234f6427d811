/**
 * A process that chooses its names so that careless readers break: comm, command line, host name, mount path and netns name with newlines, ANSI codes,
 * JSON and invalid UTF-8. They are exact in the database and in JSON, and nothing of them acts on a terminal.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { api } from '#shared/api.ts';
import { printableRaw, rawText } from '#shared/raw-text.ts';
import type { NamespaceDetail } from '#shared/resources.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { startFleet, until } from '#test/support/fleet.ts';
import type { Fleet } from '#test/support/fleet.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const { root } = temporaryDirectories();
const script = fileURLToPath(new URL('../fixtures/hostile-names.sh', import.meta.url));
const heardMs = 30_000;
const bytes = (text: string) => Buffer.from(text, 'latin1');
const raw = (text: string) => rawText(bytes(text));

let fleet: Fleet;
let hostile: ChildProcess;
let pid: number;
const tail = () => `nsf-e2e-${pid}-{"a":1}\u001b[2J\n\u00ff`;
before(async () => {
  fleet = fileResources.use(await startFleet());
  // An argument of more than 4 kB that is no UTF-8: only a shell can make it.
  const start = `exec unshare --net --uts sh "$0" "$1" "$(printf '{"json":true}\\033[31m\\377\\n%05000d' 0)"`;
  hostile = spawn('sh', ['-c', start, script, root], { stdio: ['pipe', 'pipe', 'inherit'] });
  fileResources.defer(async () => {
    hostile.stdin?.end();
    if (hostile.exitCode === null) await once(hostile, 'exit');
  });
  const [ready] = (await once(hostile.stdout ?? hostile, 'data')) as [Buffer];
  pid = Number(/^ready (\d+)$/mu.exec(ready.toString())?.[1]);
});

async function run(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await fleet.cli(args);
  assert.ok(code === 0 || (args[1] === 'diff' && code === 1), `${args.join(' ')}: ${stderr}`);
  return stdout;
}

async function shown(type: string): Promise<NamespaceDetail> {
  const [row] = api.namespaceList.reply
    .partial({ nextCursor: true })
    .parse(JSON.parse(await run('ns', 'ls', '--json', '--type', type, '--filter', `leader.pid == ${pid}`))).namespaces;
  assert.ok(row !== undefined, `no ${type} namespace of ${pid}`);
  return api.namespaceShow.reply.parse(JSON.parse(await run('ns', 'show', '--json', row.id)));
}

describe('names that a hostile process chose', () => {
  const comm = raw('a) R 1 (\n\u001b[2J\u00ff');
  const hostname = raw('evil\u001b[31m\u00ff{"a":1}');
  let net: NamespaceDetail;

  it('are exact in --json, and in the database', async () => {
    net = await until(
      'all of them to be reported',
      async () => {
        const now = await shown('net');
        const complete =
          now.leader?.comm === comm && now.names.length > 0 && now.holders.some(({ path }) => path?.startsWith(root) === true);
        return complete ? now : null;
      },
      heardMs,
    );
    const command = rawText(bytes(readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')).subarray(0, 4096));
    assert.equal(net.leader?.command, command);
    assert.ok(command.includes('{"json":true}\u001b[31m\\xff\n0000') && command.length > 4000);
    const path = `${root}/${raw(tail())}`;
    assert.ok(
      net.holders.some((holder) => holder.kind === 'mount' && holder.path === path),
      JSON.stringify(net.holders),
    );
    assert.ok(
      net.names.some(({ source, name }) => source === 'ip-netns' && name === raw(tail())),
      JSON.stringify(net.names),
    );
    assert.ok(net.holders.some((holder) => holder.kind === 'process' && holder.pid === pid && holder.comm === comm));
    const uts = await until(
      'its host name',
      async () => ((await shown('uts')).details?.hostname === hostname ? shown('uts') : null),
      heardMs,
    );

    const database = new pg.Client({ connectionString: fleet.databaseUrl });
    await database.connect();
    try {
      const { rows } = await database.query('select leader_comm, leader_command, names from namespaces where id = $1', [net.id]);
      assert.deepEqual(rows, [{ leader_comm: comm, leader_command: command, names: net.names }]);
      const inside = await database.query(`select details ->> 'hostname' as hostname from namespaces where id = $1`, [uts.id]);
      assert.deepEqual(inside.rows, [{ hostname }]);
      const mounts = await database.query('select path from reference_holders where path = $1', [path]);
      assert.ok(mounts.rows.length > 0);
    } finally {
      await database.end();
    }
  });

  it('write nothing on a terminal but themselves, escaped', async () => {
    const host = fleet.hostIds[0] ?? '';
    const since = new Date(Date.parse(net.firstSeen) - 1000).toISOString();
    const texts: Record<string, string> = {};
    for (const args of [
      ['ns', 'ls', '-o', '+NAMES,HOSTNAME,DETAIL,COMM'],
      ['ns', 'ls', '--tree', 'process', '--filter', `leader.pid == ${pid}`],
      ['ns', 'show', net.id],
      ['ns', 'why', net.id],
      ['ns', 'history', net.id],
      ['ns', 'diff', '--from', since],
      ['ns', 'leaks'],
      ['ns', 'ls', '--json'],
      ['host', 'timeline', host, '--since', since],
      ['events'],
      ['events', '--json'],
      ['mount', 'find', '--target', root],
      ['host', 'show', host],
    ]) {
      const text = await run(...args);
      // oxlint-disable-next-line eslint/no-control-regex -- what must not get through
      assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e]/u, args.join(' '));
      texts[args.slice(0, 2).join(' ')] ??= text;
    }
    assert.equal(printableRaw(comm), 'a) R 1 (\\x0a\\x1b[2J\\xff');
    for (const name of ['ns ls', 'ns show', 'ns why']) assert.ok(texts[name]?.includes(printableRaw(comm)), `${name}: ${texts[name]}`);
    for (const name of ['ns ls', 'ns show']) assert.ok(texts[name]?.includes(`ip-netns:${printableRaw(raw(tail()))}`), name);
    assert.ok(texts['ns ls']?.includes(printableRaw(hostname)));
    assert.ok(texts['ns why']?.includes(printableRaw(`${root}/${raw(tail())}`)));
  });
});
