import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { Command } from 'commander';
import { buildProgram } from '#controller/cli/program.ts';
import { cli } from './run.ts';

const nowhere = {
  stdin: new PassThrough(),
  stdout: new PassThrough(),
  stderr: new PassThrough(),
  env: {},
  now: () => new Date(0),
  signals: new EventEmitter(),
  reader: new EventEmitter<{ gone: [number] }>(),
};

type Named = { path: string[]; command: Command };

function everyCommand(at: Command, path: string[]): Named[] {
  return [{ path, command: at }, ...at.commands.flatMap((child) => everyCommand(child, [...path, child.name()]))];
}

const tree = everyCommand(
  buildProgram(nowhere, (command) => command),
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
      for (const option of command.options)
        if (!option.hidden) assert.ok(stdout.includes(option.flags), `${argv.join(' ')}: ${option.flags}`);
    }
  }
});
