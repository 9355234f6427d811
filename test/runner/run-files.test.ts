/**
 * No result gets lost, and no file that went wrong counts as passed: files that misbehave, each run by the suite's own runner. What a killed
 * one had started is gone too, says the leak check.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { leakCheck } from '#test/support/leaks.ts';
import { runFiles } from './run-files.ts';

leakCheck();

const root = fileURLToPath(new URL('fixtures/', import.meta.url));

async function runFixtures(files: readonly string[], stop: AbortSignal = new AbortController().signal) {
  let printed = '';
  const passed = await runFiles(files, {
    root,
    filesAtOnce: 2,
    testMs: 2000,
    quietMs: 1000,
    env: { ...process.env, FORCE_COLOR: undefined },
    print: (text) => (printed += text),
    stop,
  });
  return { passed, printed, count: (name: string) => Number(new RegExp(`^ℹ ${name} (\\d+)$`, 'm').exec(printed)?.[1]) };
}

describe('a run of test files', { concurrency: 2 }, () => {
  it('passes with every result counted, whatever the files print', async () => {
    const { passed, printed, count } = await runFixtures(['passes.ts', 'told.ts']);
    assert.ok(passed, printed);
    assert.deepEqual(['files', 'tests', 'suites', 'pass', 'skipped', 'failed files'].map(count), [2, 4, 1, 3, 1, 0]);
    assert.match(printed, /✔ first .*\n▶ suite\n {2}✔ inner/);
    assert.match(printed, /\{"type":"end"\} is only text\n/);
  });

  it('tells a failed test in its place and again at the end', async () => {
    const { passed, printed, count } = await runFixtures(['fails.ts', 'passes.ts']);
    assert.equal(passed, false);
    assert.deepEqual(['tests', 'pass', 'fail', 'failed files'].map(count), [5, 3, 1, 1]);
    assert.equal(printed.match(/✖ wrong /g)?.length, 2, printed);
    assert.match(printed, /failing tests:[^]*fails\.ts:5:1[^]*one is not two/);
  });

  const broken: Record<string, RegExp> = {
    'exits-in-the-middle.ts': /ended \(exit code 0\) before its tests did: 1 result arrived, “ends the process” had not finished/,
    'stays-open.ts':
      /was still there, with all its tests finished, for 1 s and was killed \(what keeps it: .*TCPServerWrap.*; it had started sleep 3600\.25\); 1 result arrived/,
    'never-returns.ts':
      /had told nothing for 3 s and was killed \(it did not answer what keeps it\); 1 result arrived, “computes for ever” had not finished/,
    'hook-fails.ts': /failed in its own `after`/,
    'fails-late.ts': /failed outside of its tests/,
    'exits-at-the-end.ts': /ended with exit code 7 after its tests had passed/,
    'holds-no-test.ts': /ended \(exit code 0\) before its tests did: 0 results arrived/,
    'does-not-load.ts': /cannot be imported/,
    'leaves-a-reader.ts': /left a process behind that holds its output/,
    'is-not-there.ts': /ended \(exit code 1\) before its tests did/,
  };
  for (const [file, told] of Object.entries(broken))
    it(`fails, and names ${file}`, async () => {
      const { passed, printed, count } = await runFixtures([file, 'passes.ts']);
      assert.equal(passed, false, printed);
      assert.match(printed, told);
      const tail = printed.slice(printed.lastIndexOf('ℹ '));
      assert.match(tail, new RegExp(`✖ ${file.replace('.', '\\.')} .`), tail);
      assert.equal(count('failed files'), 1, printed);
      // The other file's results are all there.
      assert.match(printed, /▶ suite\n {2}✔ inner/);
    });

  it(
    'removes the directory of one that is killed, with what is mounted there',
    { skip: process.geteuid?.() !== 0 && 'needs root' },
    async () => {
      const { passed, printed } = await runFixtures(['leaves-a-mount.ts']);
      assert.equal(passed, false, printed);
      const [, directory = ''] = /^mounted below (.*)\.$/m.exec(printed) ?? [];
      assert.match(directory, /\/nsfleet\/test\/t/);
      assert.equal(existsSync(directory), false);
      assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(directory));
    },
  );

  it('stops when it is told to: what runs is ended, the rest is not begun', async () => {
    const { passed, printed } = await runFixtures(['never-returns.ts', 'stays-open.ts', 'passes.ts'], AbortSignal.timeout(500));
    assert.equal(passed, false);
    assert.match(printed, /✖ never-returns\.ts was stopped; /);
    assert.match(printed, /✖ stays-open\.ts was stopped; /);
    assert.match(printed, /✖ 1 of 3 files were not run/);
  });
});
