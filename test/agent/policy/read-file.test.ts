/** The policy file: what it says, where it is wrong, and who could have written it. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readAgentPolicy } from '#agent/config.ts';
import { describePolicy } from '#agent/policy/describe.ts';
import { parsePolicy, readPolicyFile } from '#agent/policy/read-file.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const { root, env: xdg } = temporaryDirectories();
const uid = process.geteuid?.() ?? 0;

let written = 0;
const write = (text: string, mode = 0o600): string => {
  written += 1;
  const path = join(root, `${written}.yaml`);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
};
const refused = (text: string, reason: RegExp): void => {
  assert.throws(() => parsePolicy(text, 'p'), { code: 'CONFIG_INVALID', reason }, text);
};

test('each problem has its line and column', () => {
  refused('', /line 1, column 1: Invalid input/);
  refused('version: 2\n', /^line 1, column 10: version: /);
  refused('version: 1\nhostNamespaces: [net, nett]\n', /^line 2, column 23: hostNamespaces\.1: /);
  refused('version: 1\nroots:\n  host: maybe\n', /^line 3, column 9: roots\.host: /);
  refused('version: 1\nroots:\n  hots: true\n', /^line 3, column 3: roots: Unrecognized key: "hots"/);
  refused('version: 1\nsudo: true\n', /^line 2, column 1: Unrecognized key/);
  refused('version: 1\nactions: [exec\n', /line 3, column 1: /);
  refused('version: 1\nversion: 1\n', /line 2, column 1: Map keys must be unique/);
  refused('version: 1\nactions: !!js/function x\n', /line 2, column 10: Unresolved tag/);
  refused('version: 1\nidPool: {start: 1000, count: 1}\n', /starts below 100000/);
  refused('version: 1\nidMaps: [{start: 0, count: 1}]\n', /^line 2, column 18: idMaps\.0\.start: /);
  refused('version: 1\nbinds: [{path: srv}]\n', /binds\.0\.path: an absolute path/);
  refused(`version: 1\na: &a [x]\nb: [${'*a,'.repeat(200)}]\n`, /alias/);
});

test('what is left out gives away nothing of the host; what is written holds, the environment only where it is silent', () => {
  const named = (text: string, env = {}) => readAgentPolicy({ HOME: root, ...env, NSFLEET_AGENT_POLICY: write(text) });
  const empty = named('version: 1\n');
  assert.deepEqual([...empty.actions], ['keep', 'reap']);
  for (const set of [empty.hostNamespaces, empty.joins.other, empty.capabilities]) assert.equal(set.size, 0);
  assert.deepEqual([empty.binds, empty.idMaps, empty.seccompNone], [[], [], false]);

  const env = { NSFLEET_AGENT_ACTIONS: 'exec', NSFLEET_AGENT_MAX_SANDBOXES: '7', NSFLEET_AGENT_ROOTS: '/srv', NSFLEET_ID_POOL: '200000:2' };
  const silent = named('version: 1\n', env);
  assert.deepEqual([[...silent.actions], silent.sandboxes, silent.roots.directories], [['exec'], 7, ['/srv']]);
  assert.deepEqual(silent.idPool, { start: 200_000, count: 2 });
  const said = named('version: 1\nactions: []\nsandboxes: 3\nroots: {directories: [/images/]}\nidPool: {start: 300000, count: 1}\n', env);
  assert.deepEqual([[...said.actions], said.sandboxes, said.roots.directories], [[], 3, ['/images']]);
  assert.deepEqual(said.idPool, { start: 300_000, count: 1 });
  assert.equal(named('version: 1\nhostNamespaces: all\n').hostNamespaces.size, 8);
  assert.match(describePolicy(said), /^actions {13}none$/m);
});

test('who else could have written it is refused', { skip: uid !== 0 }, () => {
  const text = 'version: 1\n';
  const unsafe = (path: string, reason: RegExp, owner = uid) =>
    assert.throws(() => readPolicyFile(path, owner), { code: 'CONFIG_INVALID', reason });
  for (const mode of [0o620, 0o602, 0o666]) unsafe(write(text, mode), /may be written by others \(mode 6/);
  const foreign = write(text);
  chownSync(foreign, 12_345, 0);
  unsafe(foreign, /belongs to uid 12345: only root may/);
  assert.ok(readPolicyFile(foreign, 12_345), 'its own user’s');

  // Above it somebody could put another file in its place; in a sticky directory only the owner can.
  const open = join(root, 'open');
  mkdirSync(open);
  writeFileSync(join(open, 'agent.yaml'), text, { mode: 0o600 });
  chmodSync(open, 0o777);
  unsafe(join(open, 'agent.yaml'), /open may be written by others/);
  symlinkSync(join(open, 'agent.yaml'), join(root, 'link.yaml'));
  unsafe(join(root, 'link.yaml'), /open may be written by others/);
  chmodSync(open, 0o1777);
  assert.ok(readPolicyFile(join(open, 'agent.yaml'), uid));
  unsafe(open, /no ordinary file/);
  unsafe(write(`#${'x'.repeat(300_000)}`), /more than/);
});

test('no file is the defaults, but one that was named must be there', () => {
  const nothing = join(root, 'nothing.yaml');
  assert.equal(readPolicyFile(nothing, uid), null);
  assert.throws(() => readAgentPolicy({ ...xdg, HOME: root, NSFLEET_AGENT_POLICY: nothing }), { reason: 'there is no such file' });
});
