import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { buildProgram } from '#controller/cli/program.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { cli, cliProcess } from './run.ts';

/** Nothing is asked of it. */
const nowhere = {
  stdin: new PassThrough(),
  stdout: new PassThrough(),
  stderr: new PassThrough(),
  env: {},
  now: () => new Date(0),
  signals: new EventEmitter(),
  reader: new EventEmitter<{ gone: [number] }>(),
};

leakCheck();
const dirs = temporaryDirectories();

type Named = { path: string[]; command: Command };

function everyCommand(at: Command, path: string[]): Named[] {
  return [{ path, command: at }, ...at.commands.flatMap((child) => everyCommand(child, [...path, child.name()]))];
}

const tree = everyCommand(
  buildProgram(
    nowhere,
    (command) => command,
    () => undefined,
  ),
  [],
);

test('help: of every command its own usage and all its options, asked in each way', async () => {
  const paths = tree.map(({ path }) => path.join(' '));
  for (const path of ['host ls', 'host show', 'ns ls', 'ns show', 'nats config', 'sandbox run', 'status', 'controller'])
    assert.ok(paths.includes(path), path);
  for (const { path, command } of tree) {
    for (const argv of [
      [...path, '--help'],
      [...path, '-h'],
      ['help', ...path],
    ]) {
      const { code, stdout, stderr } = await cli({}, ...argv);
      assert.deepEqual([code, stderr], [0, ''], argv.join(' '));
      const own = ['Usage: nsfleet', ...path].join(' ');
      assert.ok(stdout.startsWith(`${own} `) || stdout.startsWith(`${own}|`), `${argv.join(' ')}: ${stdout.split('\n')[0]}`);
      if (command.commands.length === 0) assert.match(stdout, /^Examples?:$/mu, argv.join(' '));
      for (const option of command.options)
        if (!option.hidden) assert.ok(stdout.includes(option.flags), `${argv.join(' ')}: ${option.flags}`);
    }
  }
});

const controllerDirectory = new URL('../../../controller/', import.meta.url);

test('controller: --help lists every setting, also of the program itself; arguments it does not know are refused', async () => {
  const source = readFileSync(new URL('config.ts', controllerDirectory), 'utf8');
  const settings = [...source.matchAll(/^ {4}([A-Z_]+): /gm)].map((match) => match[1] ?? '');
  assert.ok(settings.length >= 9);
  const program = (...argv: string[]) =>
    spawnSync(process.execPath, [fileURLToPath(new URL('main.ts', controllerDirectory)), ...argv], { encoding: 'utf8', env: {} });
  for (const text of [(await cli({}, 'controller', '--help')).stdout, program('--help').stdout, program('-h').stdout]) {
    for (const name of settings) assert.match(text, new RegExp(`^  ${name} `, 'm'));
    assert.match(text, /127\.0\.0\.1:4180/);
  }
  for (const argument of ['--nope', 'nope']) {
    const refused = await cli({}, 'controller', argument);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /^error: USAGE: .+\n  what to do: see `nsfleet controller --help`\n$/);
    const { status, stderr } = program(argument);
    assert.equal(status, 2);
    assert.match(stderr, /^error: USAGE: .+\n  what to do: see `nsfleet controller --help`\n$/);
  }
});

test('controller --json tells why it does not start as JSON', async () => {
  const { code, stdout, stderr } = await cliProcess(dirs.env, 'controller', '--json').ended;
  assert.deepEqual([code, stdout], [2, '']);
  assert.equal((JSON.parse(stderr) as { error: { code: string } }).error.code, 'CONFIG_INVALID');
});

test('--json: help, version and a missing command as JSON alone', async () => {
  for (const argv of [
    ['help', 'ns', 'ls', '--json'],
    ['ns', 'ls', '--help', '--json'],
    ['ns', '--json', '-h'],
  ]) {
    const { code, stdout, stderr } = await cli({}, ...argv);
    assert.deepEqual([code, stderr], [0, ''], argv.join(' '));
    assert.match((JSON.parse(stdout) as { help: string }).help, /^Usage: nsfleet ns[^]*Examples:|^Usage: nsfleet ns/);
  }
  for (const argv of [
    ['-V', '--json'],
    ['--json', '--version'],
  ]) {
    assert.match((JSON.parse((await cli({}, ...argv)).stdout) as { version: string }).version, /^\d+\.\d+\.\d+$/);
  }
  for (const argv of [['--json'], ['ns', '--json'], ['--json', 'sandbox']]) {
    const { code, stdout, stderr } = await cli({}, ...argv);
    assert.deepEqual([code, stdout], [2, '']);
    assert.equal((JSON.parse(stderr) as { error: { code: string } }).error.code, 'USAGE');
  }
});
