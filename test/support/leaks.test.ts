/** The check itself must be able to fail: each kind of leak, in a test file of its own, run by a test runner of its own. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { run } from '#controller/up/run.ts';

const support = new URL('.', import.meta.url).href;

const leaks: Record<string, { code: string; told: RegExp }> = {
  nothing: { code: '', told: /pass 1/ },
  process: { code: `spawn('sleep', ['30'], { detached: true, stdio: 'ignore' }).unref();`, told: /sleep 30/ },
  orphan: { code: `spawnSync('sh', ['-c', 'sleep 31 >/dev/null 2>&1 &']);`, told: /sleep 31/ },
  descriptor: { code: `openSync('/proc/self/ns/net');`, told: /net:\[\d+\] #1/ },
  socket: { code: `createServer().listen(0, '127.0.0.1').unref();`, told: /socket #/ },
  directory: { code: `ownDirectory(mkdtempSync('/tmp/nsfleet-leak-'));`, told: /nsfleet-leak-/ },
};

describe('leakCheck tells of a leak', { concurrency: true }, () => {
  for (const [kind, leak] of Object.entries(leaks))
    it(kind, async () => {
      const dir = mkdtempSync(join(tmpdir(), 'nsfleet-leaktest-'));
      try {
        const file = join(dir, 'leaking.test.ts');
        writeFileSync(
          file,
          `import { test } from 'node:test';
         import { spawn, spawnSync } from 'node:child_process';
         import { mkdtempSync, openSync } from 'node:fs';
         import { createServer } from 'node:net';
         import { leakCheck } from '${support}leaks.ts';
         import { ownDirectory } from '${support}own-directories.ts';
         leakCheck();
         test('leaks', async () => { ${leak.code} await new Promise((resolve) => setTimeout(resolve, 50)); });
        `,
        );
        const { NODE_TEST_CONTEXT: _, ...env } = process.env;
        const result = await run(process.execPath, ['--test', '--test-reporter=spec', file], { env, timeoutMs: 60_000 });
        assert.match(result.stdout, leak.told, result.stdout + result.stderr);
        assert.equal(result.code === 0, kind === 'nothing', result.stdout);
        const pids = [...result.stdout.matchAll(/'(\d+) sleep 3\d/g)].map(([, pid]) => Number(pid));
        // The report names it twice.
        for (const pid of new Set(pids)) process.kill(pid, 'SIGKILL');
        for (const [path] of result.stdout.matchAll(/\/tmp\/nsfleet-leak-\w+/g)) rmSync(path, { recursive: true, force: true });
      } finally {
        rmSync(dir, { recursive: true, force: true });
      }
    });
});
