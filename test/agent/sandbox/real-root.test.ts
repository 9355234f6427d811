/** What may be a sandbox's root is the host's to say: real directories, outside of what the host and its agent keep to themselves. */
import assert from 'node:assert/strict';
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PolicyFile, policyOf } from '#agent/policy/model.ts';
import { allowedSpec } from '#agent/sandbox/real-root.ts';
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
const policyWith = (text: object) => policyOf(PolicyFile.parse({ version: 1, ...text }), null, {}, [realpathSync(keys)]);
const policy = policyWith({});
const refused = (path: string, reason: RegExp, given = policy) => {
  assert.throws(() => allowedSpec(specOf(path), given, 'web'), { code: 'ROOT_REFUSED', reason }, path);
};

test('a directory of its own is taken, by its real path', () => {
  const real = make('images', 'debian');
  symlinkSync(join(root, 'images'), join(root, 'link'));
  const checked = allowedSpec(specOf(join(root, 'link', 'debian')), policy, 'web');
  assert.deepEqual(checked.root, { type: 'directory', path: realpathSync(real), writable: true });
  assert.equal(allowedSpec(SandboxSpec.parse({ command: ['true'] }), policy, 'web').root.type, 'host');
});

test('the host itself, a part of it, and the kernel’s views are refused', () => {
  for (const path of ['/', '/etc', '/usr', '/var', '/root']) refused(path, /of the host itself/);
  for (const path of ['/proc/1', '/proc/self/fd', '/sys/kernel', '/dev/shm', '/etc/ssl'])
    refused(path, /keeps to itself|symbolic link|ENOENT/);
});

test('what holds the agent’s keys is refused, from above and from below', () => {
  refused(root, /holds .*keys of the host itself/);
  refused(keys, /holds .*keys of/);
  refused(make('keys', 'inner'), /lies in .*keys, which/);
});

test('a symbolic link, a file and nothing are no roots', () => {
  symlinkSync(make('target'), join(root, 'to-target'));
  refused(join(root, 'to-target'), /symbolic link/);
  writeFileSync(join(root, 'file'), '');
  refused(join(root, 'file'), /no directory/);
  refused(join(root, 'nothing'), /ENOENT/);
});

test('an allow-list is the whole truth', () => {
  const only = policyWith({ roots: { directories: [join(realpathSync(root), 'images')] } });
  assert.ok(allowedSpec(specOf(make('images', 'alpine')), only, 'web'));
  refused(make('images-of-others'), /takes roots only from/, only);
});

test('the host’s own /usr may be withheld', () => {
  const none = policyWith({ roots: { host: false } });
  assert.throws(() => allowedSpec(SandboxSpec.parse({ command: ['true'] }), none, 'web'), {
    code: 'ROOT_REFUSED',
    remedy: /roots\.host: true/,
  });
});
