import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { exitCodeRows } from '#controller/cli/exit-codes.ts';
import { errorCatalogue } from '#shared/errors.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { startFleet, writeStack } from './fleet.ts';
import type { Fleet } from './fleet.ts';
import { bootId } from './fixtures.ts';
import { cli } from './run.ts';

leakCheck();
const dirs = temporaryDirectories();
const empty = temporaryDirectories();
let fleet: Fleet;
before(async () => {
  fleet = fileResources.use(await startFleet(dirs));
});
const everyCommand = [
  ['host', 'ls'],
  ['host', 'show', 'h'],
  ['ns', 'ls'],
  ['ns', 'show', '1'],
  ['ns', 'why', '1'],
  ['ns', 'history', '1'],
  ['ns', 'diff', 'a', 'b'],
  ['ns', 'leaks'],
  ['host', 'timeline', 'h'],
  ['sandbox', 'ls'],
  ['sandbox', 'show', 's'],
  ['sandbox', 'stop', 's'],
  ['sandbox', 'rm', 's'],
  ['sandbox', 'logs', 's'],
  ['status'],
  ['events'],
  ['events', '--follow'],
];
const running = [
  ['sandbox', 'run', '--', 'true'],
  ['sandbox', 'exec', 's', '--', 'true'],
];
/** Options stand before the command that is run. */
const withOption = (command: string[], ...option: string[]) => [...command.slice(0, 2), ...option, ...command.slice(2)];

test('bad usage: code, sentence, what to do; exit 2; nothing on standard output', async () => {
  const cases: [string[], RegExp][] = [
    [['nss', 'ls'], /unknown command 'nss' \(Did you mean ns\?\)\n  what to do: see `nsfleet --help`/],
    [['ns', 'lss'], /unknown command 'lss' \(Did you mean ls\?\)\n  what to do: see `nsfleet ns --help`/],
    [['ns', 'ls', '--typ', 'net'], /unknown option '--typ' \(Did you mean --type\?\)/],
    [['ns', 'ls', '--type'], /option '-t, --type <type>' argument missing/],
    [['ns', 'ls', '--type', 'foo'], /type foo.*\n  what to do: choose from mnt, /],
    [['ns', 'ls', '-o', 'NOPE'], /column NOPE/],
    [['host', 'show'], /missing required argument 'host'/],
    [['host', 'show', 'a', 'b'], /too many arguments/],
    [['sandbox'], /a command is missing/],
    [['sandbox', 'run'], /missing required argument 'command'/],
    ...['-t', '-it', '-i -t', '--tty'].map((flags): [string[], RegExp] => [
      ['sandbox', 'exec', ...flags.split(' '), 'web', 'sh'],
      /USAGE: .*no terminal yet: run it without -t/,
    ]),
    [['sandbox', 'run', '-it', 'sh'], /USAGE: .*no terminal yet: run it without -t/],
    [['sandbox', 'run', '-i', 'sh'], /standard input is not connected/],
    [['sandbox', 'exec', 'web'], /missing required argument 'command'/],
    [['sandbox', 'run', '--nope', '--', 'true'], /unknown option '--nope'/],
    [['sandbox', 'run', '--user', 'bob:', 'true'], /--user : it takes a name/],
    [['sandbox', 'run', '--name', 'Bad Name', 'true'], /INVALID_INPUT: .*name: /],
    [['sandbox', 'ls', '--state', 'nope'], /state nope.*\n  what to do: choose from placed, /],
    [['sandbox', 'stop', '--grace', 'soon', 's'], /--grace soon/],
    [['status', '--api', 'nope'], /API address nope/],
    [['help', 'nope'], /no command or topic `nope`/],
  ];
  for (const [argv, expected] of cases) {
    const { code, stdout, stderr } = await cli(dirs.env, ...argv);
    assert.equal(code, 2, argv.join(' '));
    assert.equal(stdout, '');
    assert.match(stderr, expected);
    assert.match(stderr, /^error: [A-Z_]+: .+\n  what to do: .+\n$/m);
  }
});

test('no stack runs: NOT_RUNNING and exit 5, of every command, and as JSON', async () => {
  for (const command of [...everyCommand, ...running]) {
    const { code, stdout, stderr } = await cli(empty.env, ...command);
    assert.equal(code, 5, command.join(' '));
    assert.equal(stdout, '');
    assert.match(stderr, /^error: NOT_RUNNING: cannot find a running stack in .+\n  what to do: start one with `npm start`/);
    const asJson = await cli(empty.env, ...withOption(command, '--json'));
    assert.equal(asJson.stdout, '');
    assert.equal((JSON.parse(asJson.stderr) as { error: { code: string } }).error.code, 'NOT_RUNNING');
  }
});

test('a refused connection: NOT_RUNNING and exit 5', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  for (const command of [...everyCommand, ...running]) {
    const option = ['--api', `http://127.0.0.1:${port}`, '--token-file', fleet.tokenFile];
    const { code, stderr } = await cli(empty.env, ...withOption(command, ...option));
    assert.equal(code, 5, command.join(' '));
    assert.match(stderr, /NOT_RUNNING: cannot reach the controller at .*ECONNREFUSED/);
  }
});

test('a wrong, missing, empty or unfit token: exit 6, and the token is nowhere in the text', async () => {
  const file = (name: string, text: string) => {
    writeFileSync(join(dirs.root, name), text);
    return join(dirs.root, name);
  };
  const wrong = file('wrong', 'nsft_this-is-another-token\n');
  for (const command of [...everyCommand, ...running]) {
    const { code, stderr, stdout } = await cli(dirs.env, ...withOption(command, '--token-file', wrong));
    assert.equal(code, 6, command.join(' '));
    assert.match(stderr, /^error: TOKEN_WRONG/);
    assert.equal((stderr + stdout).includes('this-is-another-token'), false);
  }
  assert.match((await cli(dirs.env, 'status', '--token-file', join(dirs.root, 'no-such-file'))).stderr, /TOKEN_MISSING.*ENOENT/);
  assert.match((await cli(dirs.env, 'status', '--token-file', file('empty', ' \n'))).stderr, /TOKEN_MISSING.*empty/);
  assert.match((await cli(dirs.env, 'status', '--token-file', file('two', 'two words'))).stderr, /TOKEN_WRONG.*one word/);
});

test('the stack’s token goes to no other address', async () => {
  const { code, stderr } = await cli(dirs.env, 'status', '--api', 'http://127.0.0.1:9');
  assert.equal(code, 6);
  assert.match(stderr, /TOKEN_MISSING: cannot call http:\/\/127\.0\.0\.1:9: no token file was given/);
  assert.equal((await cli(dirs.env, 'status', '--api', fleet.api)).code, 0);
  assert.equal((await cli({ ...empty.env, NSFLEET_API: fleet.api, NSFLEET_TOKEN_FILE: fleet.tokenFile }, 'status')).code, 0);
});

test('a damaged stack.json, and a server that is no controller', async () => {
  writeStack(empty, '{ not json');
  assert.match((await cli(empty.env, 'status')).stderr, /CONFIG_INVALID.*not JSON/);
  writeStack(empty, { version: 2 });
  assert.match((await cli(empty.env, 'status')).stderr, /CONFIG_INVALID.*version/);
  const server = createServer((socket) => socket.resume().end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi')).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  writeStack(empty, { version: 1, bootId, api, tokenFile: fleet.tokenFile, hostId: 'h1', processes: [] });
  assert.match((await cli(empty.env, 'status')).stderr, /^error: MESSAGE_MALFORMED/);
  assert.match((await cli(empty.env, 'sandbox', 'logs', 'x')).stderr, /^error: (UNAVAILABLE|NOT_RUNNING)/);
  await new Promise((resolve) => server.close(resolve));
});

test('what the API refuses: its code and exit code', async () => {
  assert.equal((await cli(dirs.env, 'host', 'show', 'nope')).code, 3);
  assert.match((await cli(dirs.env, 'sandbox', 'logs', 'nope')).stderr, /^error: SANDBOX_NOT_FOUND/);
  const { code, stderr } = await cli(dirs.env, 'sandbox', 'exec', '--json', 'nope', '--', 'true');
  assert.equal(code, 3);
  assert.equal((JSON.parse(stderr) as { error: { code: string } }).error.code, 'SANDBOX_NOT_FOUND');
});

test('help: of each command, with its options; of exit codes, every error code in it once', async () => {
  for (const command of [...everyCommand, ...running]) {
    const { code, stdout, stderr } = await cli(empty.env, ...withOption(command, '--help'));
    assert.deepEqual([code, stderr], [0, ''], command.join(' '));
    assert.match(stdout, /--json +print JSON/);
  }
  const codes = (await cli(empty.env, 'help', 'exit-codes')).stdout;
  for (const code of Object.keys(errorCatalogue)) assert.equal(codes.match(new RegExp(`\\b${code}\\b`, 'g'))?.length, 1, code);
  assert.deepEqual(
    exitCodeRows().map((row) => row.exitCode),
    [0, 1, 2, 3, 4, 5, 6, 7, 125, 126, 127],
  );
  assert.match((await cli(empty.env, '--version')).stdout, /^\d+\.\d+\.\d+\n$/);
  assert.match((await cli(empty.env, 'help', 'sandbox', 'run')).stdout, /^Usage: nsfleet sandbox run/);
});
