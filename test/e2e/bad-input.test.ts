/** Input that no sandbox can be made of: a typed error that names the step or the field, soon, and nothing left behind on the host. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import type { SandboxSpecInput } from '#shared/sandbox.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { startFleet, until } from '#test/support/fleet.ts';
import type { Fleet } from '#test/support/fleet.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { makeRoot } from '#test/support/roots.ts';
import { statusField } from '#test/support/shim.ts';

leakCheck();

/** A refusal waits for nothing. */
const soonMs = 10_000;

let fleet: Fleet;
let root: string;
before(async () => {
  fleet = fileResources.use(await startFleet());
  root = makeRoot(join(fleet.root, 'hostile-root'), ['sh']);
});

const create = (spec: SandboxSpecInput | Record<string, unknown>, name?: string) =>
  fleet.client.call('sandboxCreate', {
    query: { wait: 'running' },
    body: { ...(name === undefined ? {} : { name }), spec: spec as SandboxSpecInput },
  });

/** Shims of this fleet's agent, but for those that wait ready; their sandboxes end with them. */
function shims(): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'latin1');
      return statusField(status, 'Name') === 'nsfleet-shim' && statusField(status, 'PPid') === String(fleet.agents[0]?.pid);
    } catch {
      return false;
    }
  });
}

async function refused(spec: SandboxSpecInput | Record<string, unknown>, code: string, reason: RegExp, name?: string): Promise<void> {
  const began = performance.now();
  await assert.rejects(create(spec, name), (error: unknown) => {
    assert.ok(error instanceof Error && 'code' in error, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, reason);
    return true;
  });
  assert.ok(performance.now() - began < soonMs);
}

describe('refused before it is placed, with the field', () => {
  const command = ['true'];
  const cases: [string, Record<string, unknown>, RegExp, string?][] = [
    ['NUL in argv', { command: ['a\0b'] }, /spec\.command\.0/],
    ['NUL in the environment', { command, env: { A: 'a\0b' } }, /spec\.env\.A/],
    ['a variable without a name', { command, env: { '': 'a' } }, /spec\.env/],
    ['NUL in the working directory', { command, cwd: '/a\0b' }, /spec\.cwd/],
    ['no argv', { command: [] }, /spec\.command/],
    ['5,000 words', { command: Array<string>(5000).fill('x') }, /spec\.command/],
    ['an id of 2^32', { command, user: { uid: 2 ** 32 } }, /spec\.user\.uid/],
    ['an id of 2^32 - 1, which is none', { command, user: { uid: 2 ** 32 - 1 } }, /spec\.user\.uid/],
    ['a number as a text', { command, user: { uid: '0' } }, /spec\.user\.uid/],
    ['33 groups', { command, user: { uid: 0, groups: Array<number>(33).fill(1) } }, /spec\.user\.groups/],
    ['a user’s name of 10 kB', { command, user: { uid: 'x'.repeat(10_000) } }, /spec\.user\.uid/],
    ['a sandbox’s name of 10 kB', { command }, /name/, 'x'.repeat(10_000)],
    ['a limit that is none', { command, rlimits: { files: { soft: 1, hard: 1 } } }, /spec\.rlimits/],
    ['soft above hard', { command, rlimits: { nofile: { soft: 2, hard: 1 } } }, /spec\.rlimits\.nofile/],
    ['an unknown capability', { command, capabilities: { add: ['CAP_EVERYTHING'] } }, /spec\.capabilities\.add\.0/],
    ['an unknown field', { command, privileged: true }, /privileged/],
  ];
  for (const [name, spec, field, sandbox] of cases) it(name, () => refused(spec, 'INVALID_INPUT', field, sandbox));

  it('argv of 2 MB, in one word and in many', async () => {
    for (const words of [['x'.repeat(2_000_000)], Array<string>(2000).fill('x'.repeat(1000))])
      await assert.rejects(create({ command: words }), (error: unknown) => {
        assert.ok(error instanceof Error && 'code' in error);
        assert.match(String(error.code), /INVALID_INPUT|MESSAGE_TOO_LARGE/);
        return true;
      });
    const { code, stderr } = await fleet.cli(['sandbox', 'run', '--rm', '--', 'true', ...Array<string>(20).fill('x'.repeat(100_000))]);
    assert.notEqual(code, 0);
    assert.match(stderr, /MESSAGE_TOO_LARGE|INVALID_INPUT/);
  });
});

describe('refused by the host, with the step, and nothing left', () => {
  const passwd = (): string => join(root, 'etc/passwd');
  /** Where it is on the host, and not in the root. */
  const outside = (): string => {
    const path = join(fleet.root, 'outside-passwd');
    writeFileSync(path, 'evil:x:0:0::/:/bin/sh\n');
    return path;
  };
  const command = ['/bin/sh', '-c', 'true'];
  const spec = (user: string): SandboxSpecInput => ({ command, root: { type: 'directory', path: root }, user: { uid: user } });
  const hostile: [string, (path: string) => void, RegExp][] = [
    ['no such user', (path) => writeFileSync(path, 'root:x:0:0::/:/bin/sh\n'), /user evil: no such user in \/etc\/passwd/],
    ['no passwd', () => undefined, /user evil: the file of names cannot be read: ENOENT/],
    ['lines of 10 MB', (path) => writeFileSync(path, `${'x'.repeat(10_000_000)}\nevil:x:0:0::/:/bin/sh\n`), /too long: EFBIG/],
    ['a link out of the root', (path) => symlinkSync(`/../../..${outside()}`, path), /user evil: .*ENOENT/],
    ['a link to itself', (path) => symlinkSync('passwd', path), /user evil: .*ELOOP/],
    ['a FIFO', (path) => execFileSync('sh', ['-c', 'mkfifo "$1"', 'sh', path]), /no regular file: ENODEV/],
    ['an id of 2^32', (path) => writeFileSync(path, 'evil:x:4294967296:0::/:/bin/sh\n'), /its line in \/etc\/passwd is malformed: EBADMSG/],
    ['an id that is not mapped', (path) => writeFileSync(path, 'evil:x:70000:0::/:/bin/sh\n'), /not among the sandbox.s ids: EINVAL/],
  ];
  for (const [name, make, reason] of hostile)
    it(`passwd: ${name}`, async () => {
      rmSync(passwd(), { force: true });
      make(passwd());
      await refused(spec('evil'), 'USER_REFUSED', reason);
    });

  it('a working directory that is not there, and a command that is a directory', async () => {
    await refused({ command: ['true'], cwd: '/nowhere' }, 'CWD_REFUSED', /cwd \/nowhere: ENOENT/);
    await refused({ command: ['/usr'] }, 'COMMAND_NOT_EXECUTABLE', /exec \/usr: EACCES/);
  });

  it('of all of them only the rows are left', async () => {
    await until('what was started to be gone', () => (shims().length === 0 ? true : null));
    const { sandboxes } = await fleet.client.call('sandboxList', { query: { all: 'true' } });
    assert.ok(sandboxes.length > 0);
    for (const { state, error, initPid } of sandboxes) assert.deepEqual([state, error === null, initPid], ['failed', false, null]);
    // And what is asked for rightly works as before.
    const { code, stderr } = await fleet.cli(['sandbox', 'run', '--rm', '--', 'true']);
    assert.equal(code, 0, stderr);
  });
});
