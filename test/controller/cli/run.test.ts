import assert from 'node:assert/strict';
import { once } from 'node:events';
import { before, test } from 'node:test';
import { NsfleetError } from '#shared/errors.ts';
import type { Sandbox } from '#shared/resources.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { startFleet } from './fleet.ts';
import type { Fleet } from './fleet.ts';
import { cli, cliProcess } from './run.ts';

leakCheck();
const dirs = temporaryDirectories();
let fleet: Fleet;
before(async () => {
  fleet = fileResources.use(await startFleet(dirs));
});
const run = (...argv: string[]) => cli(dirs.env, 'sandbox', ...argv);
const named = (name: string): Sandbox => fleet.sandboxes.all().find((sandbox) => sandbox.name === name)!;

test('run in the foreground: output apart, the command’s exit code, 128 + signal', async () => {
  const both = await run('run', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7');
  assert.deepEqual(both, { code: 7, stdout: 'out\n', stderr: 'err\n' });
  assert.deepEqual(await run('run', 'echo', '--name', '-n'), { code: 0, stdout: '--name -n\n', stderr: '' });
  assert.equal((await run('run', '--', 'sh', '-c', 'kill -9 $$')).code, 137);
  assert.equal((await run('run', '--env', 'A=b c', '-w', '/usr', '--', 'sh', '-c', 'echo "$A" $PWD')).stdout, 'b c /usr\n');
});

test('run: what cannot start', async () => {
  const { code, stdout, stderr } = await run('run', '--', '/no/such/command');
  assert.deepEqual([code, stdout], [127, '']);
  assert.match(stderr, /^error: COMMAND_NOT_FOUND: /);
  await run('run', '--rm', '--name', 'failed', '--', '/no/such/command');
  assert.equal(named('failed').state, 'removed');
  await run('run', '-d', '--name', 'taken', '--', 'sleep', '60');
  const taken = await run('run', '--name', 'taken', '--', 'true');
  assert.equal(taken.code, 4);
  assert.match(taken.stderr, /^error: SANDBOX_NAME_TAKEN.*\n  what to do: choose another name/);
});

test('run --rm removes it after its output was read; --json tells the sandbox, the output goes to standard error', async () => {
  assert.equal((await run('run', '--rm', '--name', 'gone', '--', 'echo', 'hi')).stdout, 'hi\n');
  assert.deepEqual([named('gone').state, named('gone').autoRemove], ['removed', false]);
  assert.equal((JSON.parse((await run('run', '--rm', '--json', '--', 'true')).stdout) as Sandbox).autoRemove, true);
  const { code, stdout, stderr } = await run('run', '--json', '--name', 'kept', '--', 'sh', '-c', 'echo hi; exit 2');
  assert.deepEqual([code, stderr], [2, 'hi\n']);
  const sandbox = JSON.parse(stdout) as Sandbox;
  assert.deepEqual([sandbox.name, sandbox.state, sandbox.exit], ['kept', 'stopped', { code: 2, signal: null }]);
});

test('run -d prints the id, or the sandbox; then logs, stop, rm', async () => {
  const { code, stdout } = await run('run', '-d', '--rm', '--name', 'web', '--', 'sh', '-c', 'echo started; exec sleep 60');
  assert.equal(code, 0);
  assert.equal(stdout, `${named('web').id}\n`);
  assert.equal(named('web').autoRemove, true);
  const other = await run('run', '-d', '--json', '--name', 'other', '--', 'sleep', '60');
  assert.equal((JSON.parse(other.stdout) as Sandbox).id, named('other').id);

  assert.equal((await run('logs', 'web')).stdout, 'started\n');
  const refused = await run('rm', 'web', 'nope', 'other');
  assert.equal(refused.code, 4);
  assert.equal(refused.stdout, '');
  assert.match(refused.stderr, /SANDBOX_STILL_RUNNING[^]*SANDBOX_NOT_FOUND[^]*SANDBOX_STILL_RUNNING/);
  assert.deepEqual(await run('stop', 'web', 'other', '--signal', 'INT'), { code: 0, stdout: 'web\nother\n', stderr: '' });
  assert.deepEqual(named('web').exit, { code: null, signal: 2 });
  assert.deepEqual(await run('rm', 'web'), { code: 0, stdout: 'web\n', stderr: '' });
  const json = await run('rm', '--json', '-f', 'other', 'taken');
  assert.deepEqual(
    (JSON.parse(json.stdout) as { sandboxes: Sandbox[] }).sandboxes.map(({ state }) => state),
    ['removed', 'removed'],
  );
});

test('run --dry-run prints decision and plan, and makes nothing', async () => {
  const before = fleet.sandboxes.all().length;
  const { code, stdout } = await run('run', '--dry-run', '--', 'sh', '-c', 'x');
  assert.equal(code, 0);
  assert.match(stdout, /^Host: web-1\n  on web-1: 1 of 2 hosts can take it\n  refused by constraint: 1 host: /);
  assert.match(stdout, /\nPlan:\n  mount proc\n  exec sh -c x\n$/);
  const json = await run('run', '--dry-run', '--json', '--', 'true');
  assert.deepEqual((JSON.parse(json.stdout) as { lines: string[] }).lines, ['mount proc', 'exec true']);
  assert.equal(fleet.sandboxes.all().length, before);
});

test('run: a lost answer is asked for again under the same key, and there is one sandbox', async () => {
  let failures = 3;
  fleet.sandboxes.beforeReply.create = () => {
    failures -= 1;
    if (failures === 2) fleet.cut();
    if (failures >= 0) throw new NsfleetError('UNAVAILABLE', { attempted: 'answer', target: 'create', reason: 'the test lost it' });
  };
  const { code, stdout } = await run('run', '--label', 'once', '--', 'echo', 'once');
  fleet.sandboxes.beforeReply.create = () => undefined;
  assert.deepEqual([code, stdout], [0, 'once\n']);
  assert.equal(fleet.sandboxes.all().filter((sandbox) => 'once' in sandbox.labels).length, 1);
});

test('run: a broken log stream is opened again where it broke', async () => {
  fleet.sandboxes.breakLogsAfter.bytes = 5;
  const { code, stdout, stderr } = await run('run', '--', 'sh', '-c', 'echo one two three; sleep 0.3; echo four');
  assert.deepEqual([code, stdout, stderr], [0, 'one two three\nfour\n', '']);
});

test('exec: input, output, errors, environment, exit codes', async () => {
  await run('run', '-d', '--name', 'box', '--', 'sleep', '60');
  const { child, ended } = cliProcess(dirs.env, 'sandbox', 'exec', '--env', 'A=1', 'box', '--', 'sh', '-c', 'cat; echo "$A" >&2; exit 9');
  child.stdin.end('typed\n');
  assert.deepEqual(await ended, { code: 9, stdout: 'typed\n', stderr: '1\n' });
  assert.equal((await run('exec', 'box', 'sh', '-c', 'kill -15 $$')).code, 143);
  assert.equal((await run('exec', '-i', 'box', 'true')).code, 0);
  const missing = await run('exec', 'box', '--', '/no/such');
  assert.equal(missing.code, 127);
  assert.match(missing.stderr, /^error: COMMAND_NOT_FOUND/);
  const json = await run('exec', '--json', 'box', '--', 'sh', '-c', 'echo "a\u001bb"; echo ü >&2; exit 3');
  assert.equal(json.code, 3);
  assert.deepEqual(
    new Set(
      json.stdout
        .trim()
        .split('\n')
        .map((line) => line),
    ),
    new Set(['{"stream":"stdout","text":"a\\u001bb\\n"}', '{"stream":"stderr","text":"ü\\n"}', '{"exit":{"code":3,"signal":null}}']),
  );
  assert.equal((await run('exec', 'kept', '--', 'true')).code, 4);
});

test('exec: 32 MiB in and out arrive whole, input that never ends does not hold it, --no-stdin', async () => {
  const size = 32 * 1024 * 1024;
  const { child, ended } = cliProcess(dirs.env, 'sandbox', 'exec', 'box', '--', 'cat');
  let echoed = 0;
  child.stdout.removeAllListeners('data').on('data', (data: string) => {
    echoed += data.length;
  });
  child.stdin.end(Buffer.alloc(size, 'x'));
  const { code, stderr } = await ended;
  assert.deepEqual([code, stderr, echoed], [0, '', size]);
  const open = cliProcess(dirs.env, 'sandbox', 'exec', 'box', '--', 'echo', 'hi');
  assert.deepEqual(await open.ended, { code: 0, stdout: 'hi\n', stderr: '' });
  const none = cliProcess(dirs.env, 'sandbox', 'exec', '--no-stdin', 'box', '--', 'cat');
  assert.equal((await none.ended).code, 0);
});

test('signals: exec forwards them; the third ends it', async () => {
  const script = 'trap "echo int" INT; trap "echo hup; exit 5" HUP; echo ready; while :; do sleep 0.05; done';
  const polite = cliProcess(dirs.env, 'sandbox', 'exec', 'box', '--', 'sh', '-c', script);
  await once(polite.child.stdout, 'data');
  polite.child.kill('SIGINT');
  await once(polite.child.stdout, 'data');
  polite.child.kill('SIGHUP');
  assert.deepEqual(await polite.ended, { code: 5, stdout: 'ready\nint\nhup\n', stderr: '' });

  const deaf = cliProcess(
    dirs.env,
    'sandbox',
    'exec',
    'box',
    '--',
    'sh',
    '-c',
    'trap "" INT TERM; echo ready; while :; do sleep 0.05; done',
  );
  await once(deaf.child.stdout, 'data');
  for (let count = 0; count < 3; count++) {
    deaf.child.kill('SIGINT');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.equal((await deaf.ended).code, 130);
});

test('signals: run stops the sandbox, the second kills it', async () => {
  const polite = cliProcess(
    dirs.env,
    'sandbox',
    'run',
    '--rm',
    '--name',
    'polite',
    '--',
    'sh',
    '-c',
    'trap "echo bye; exit 4" TERM; echo ready; while :; do sleep 0.05; done',
  );
  await once(polite.child.stdout, 'data');
  polite.child.kill('SIGTERM');
  assert.deepEqual(await polite.ended, { code: 4, stdout: 'ready\nbye\n', stderr: '' });
  assert.equal(named('polite').state, 'removed');

  const deaf = cliProcess(
    dirs.env,
    'sandbox',
    'run',
    '--name',
    'deaf',
    '--',
    'sh',
    '-c',
    'trap "" INT; echo ready; while :; do sleep 0.05; done',
  );
  await once(deaf.child.stdout, 'data');
  deaf.child.kill('SIGINT');
  await new Promise((resolve) => setTimeout(resolve, 200));
  deaf.child.kill('SIGINT');
  assert.equal((await deaf.ended).code, 137);
  assert.equal(named('deaf').state, 'stopped');
});

test('a reader that goes away ends it quietly', async () => {
  const { child, ended } = cliProcess(dirs.env, 'sandbox', 'exec', 'box', '--', 'yes');
  await once(child.stdout, 'data');
  child.stdout.destroy();
  const { code, stderr } = await ended;
  assert.deepEqual([code, stderr], [141, '']);
});

test('the start is short', async () => {
  const times: number[] = [];
  for (let count = 0; count < 5; count++) {
    const start = performance.now();
    assert.equal((await cliProcess(dirs.env, '--version').ended).code, 0);
    times.push(performance.now() - start);
  }
  // 0.05 s when idle; the limit leaves room for a machine that is busy with other tests.
  assert.ok(Math.min(...times) < 500, `${times.map(Math.round).join(', ')} ms`);
});
