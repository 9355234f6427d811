/** What may be a sandbox's root is the host's to say: real directories, outside of what the host and its agent keep to themselves. */
import assert from 'node:assert/strict';
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkRoot } from '#agent/sandbox/root-policy.ts';
import type { RootPolicy } from '#agent/sandbox/root-policy.ts';
import { SandboxSpec } from '#shared/sandbox.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();

const { root } = temporaryDirectories();
const make = (...names: string[]) => {
  const path = join(root, ...names);
  mkdirSync(path, { recursive: true });
  return path;
};
const specOf = (path: string) => SandboxSpec.parse({ command: ['true'], root: { type: 'directory', path } });
const keys = make('keys');
const policy: RootPolicy = { allowed: null, privateDirectories: [realpathSync(keys)] };
const refused = (path: string, reason: RegExp, given = policy) => {
  assert.throws(() => checkRoot(specOf(path), given), { code: 'ROOT_REFUSED', reason }, path);
};

test('a directory of its own is taken, by its real path', () => {
  const real = make('images', 'debian');
  symlinkSync(join(root, 'images'), join(root, 'link'));
  const checked = checkRoot(specOf(join(root, 'link', 'debian')), policy);
  assert.deepEqual(checked.root, { type: 'directory', path: realpathSync(real), writable: true });
  assert.equal(checkRoot(SandboxSpec.parse({ command: ['true'] }), policy).root.type, 'host');
});

test('the host itself, a part of it, and the kernel’s views are refused', () => {
  for (const path of ['/', '/etc', '/usr', '/var', '/root']) refused(path, /of the host itself/);
  for (const path of ['/proc/1', '/proc/self/fd', '/sys/kernel', '/dev/shm', '/etc/ssl'])
    refused(path, /keeps to itself|symbolic link|ENOENT/);
});

test('what holds the agent’s keys is refused, from above and from below', () => {
  refused(root, /it holds/);
  refused(keys, /it holds/);
  refused(make('keys', 'inner'), /it lies in/);
});

test('a symbolic link, a file and nothing are no roots', () => {
  symlinkSync(make('target'), join(root, 'to-target'));
  refused(join(root, 'to-target'), /symbolic link/);
  writeFileSync(join(root, 'file'), '');
  refused(join(root, 'file'), /no directory/);
  refused(join(root, 'nothing'), /ENOENT/);
});

test('an allow-list is the whole truth', () => {
  const only = { ...policy, allowed: [join(realpathSync(root), 'images')] };
  assert.ok(checkRoot(specOf(make('images', 'alpine')), only));
  refused(make('images-of-others'), /takes roots only from/, only);
});
