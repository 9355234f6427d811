/** The program behind `npm test`, on a directory of its own: which files it takes, and its exit codes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();

const suite = fileURLToPath(new URL('../suite.ts', import.meta.url));
const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}.ts`, import.meta.url));

let root: string;
before(() => {
  ({ root } = temporaryDirectories());
  const place = (name: string, path: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    copyFileSync(fixture(name), join(root, path));
  };
  place('passes', 'test/passes.test.ts');
  place('fails', 'test/fails.test.ts');
  place('never-returns', 'test/never-returns.test.ts');
  place('told', 'test/guest/told.guest.test.ts');
});

/** `onOutput` may end it early. */
async function run(args: readonly string[], onOutput: (output: string, kill: (signal: NodeJS.Signals) => void) => void = () => undefined) {
  const child = spawn(process.execPath, [suite, '--root', root, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      onOutput(output, (signal) => child.kill(signal));
    });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

describe('suite', { concurrency: 2 }, () => {
  it('exits 0 where all passed', async () => {
    const { code, output } = await run(['passes']);
    assert.equal(code, 0, output);
    assert.match(output, /ℹ files 1\nℹ tests 3\n/);
  });

  it('exits 1 where a test failed', async () => {
    const { code, output } = await run(['passes', 'fails']);
    assert.equal(code, 1, output);
    assert.match(output, /ℹ fail 1\n/);
  });

  it('runs a kind’s files only when that kind is asked for, and says that it is the short run', async () => {
    const plain = await run(['told']);
    assert.equal(plain.code, 2, plain.output);
    assert.match(plain.output, /no test file's path holds told/);
    const guest = await run(['--kind', 'guest', '--short']);
    assert.equal(guest.code, 0, guest.output);
    assert.match(guest.output, /✔ short is 1 /);
  });

  it('exits 2 for a kind that is none or has no files, and for an option that it does not know', async () => {
    for (const [args, told] of [
      [['--kind', 'gust'], /no kind gust; there are: default, /],
      [['--kind', 'chaos'], /test\/chaos\/ holds no \*\.test\.ts/],
      [['--shrt'], /--shrt/],
    ] as const) {
      const { code, output } = await run(args);
      assert.equal(code, 2, output);
      assert.match(output, told);
    }
  });

  it('ends what it started when a signal asks it to', async () => {
    let asked = false;
    const { code, output } = await run(['never-returns'], (sofar, kill) => {
      if (asked || !sofar.includes('✔ fine')) return;
      asked = true;
      kill('SIGTERM');
    });
    assert.equal(code, 143, output);
    assert.match(output, /✖ test\/never-returns\.test\.ts was stopped; 1 result arrived, “computes for ever” had not finished/);
  });
});
