/** What may be a sandbox's root is the host's to say: real directories, outside of what the host and its agent keep to themselves. */
import assert from 'node:assert/strict';
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { PolicyFile, policyOf } from '#agent/policy/model.ts';
import { allowedSpec } from '#agent/sandbox/sources.ts';
import { SandboxSpec } from '#shared/sandbox.ts';
import { Volume } from '#shared/volume.ts';
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
  const checked = allowedSpec(specOf(join(root, 'link', 'debian')), policy, 'web').spec;
  assert.deepEqual(checked.root, { type: 'directory', path: realpathSync(real), writable: true, upper: { type: 'disk' } });
  assert.equal(allowedSpec(SandboxSpec.parse({ command: ['true'] }), policy, 'web').spec.root.type, 'host');
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
const bind = (source: string, rest: object = {}) => Volume.parse({ type: 'bind', source, target: '/data', ...rest });
const sourcesWith = (volume: Volume, binds: object[]) =>
  allowedSpec(SandboxSpec.parse({ command: ['true'], volumes: [volume] }), policyWith({ binds }), 'web').volumes[0];
const unbound = (volume: Volume, binds: object[], reason: RegExp, code = 'POLICY_REFUSED') =>
  assert.throws(() => sourcesWith(volume, binds), { code, reason }, volume.target);
const real = realpathSync(root);

test('a bind that the policy names is taken, by its real path, and all below it', () => {
  const binds = [
    { path: make('allowed'), writable: true },
    { path: make('shown'), rslave: true },
  ];
  writeFileSync(join(make('allowed', 'sub'), 'file'), '');
  symlinkSync(join(root, 'allowed', 'sub'), join(root, 'to-sub'));
  assert.deepEqual(sourcesWith(bind(join(root, 'to-sub')), binds), { ...bind(join(real, 'allowed', 'sub')), directory: true });
  assert.deepEqual(sourcesWith(bind(join(root, 'to-sub/file')), binds), { ...bind(join(real, 'allowed/sub/file')), directory: false });
  assert.ok(sourcesWith(bind(join(root, 'shown'), { readonly: true, propagation: 'rslave' }), binds));
  assert.ok(sourcesWith(Volume.parse({ type: 'tmpfs', target: '/tmp/x' }), []), 'memory is the sandbox’s own');
  unbound(bind(make('allowed-not')), binds, /binds nothing of .*allowed-not/);
  unbound(bind(root), binds, /binds nothing/);
  unbound(bind(join(root, 'shown')), binds, /read-only/);
  unbound(bind(join(root, 'allowed'), { propagation: 'rslave' }), binds, /rslave/);
  symlinkSync('/etc', join(root, 'allowed', 'out'));
  unbound(bind(join(root, 'allowed', 'out')), binds, /binds nothing of \/etc/);
  unbound(bind(join(root, 'nothing')), binds, /ENOENT/, 'VOLUME_REFUSED');
});

test('what the host and its agent keep to themselves is no volume, unless a part of it is named itself', () => {
  const all = [{ path: '/', writable: true }];
  for (const path of ['/etc', '/proc/1', '/sys/kernel', '/dev/shm', '/run']) unbound(bind(path), all, /keeps to itself/);
  for (const path of [keys, join(keys, 'inner'), root, '/']) unbound(bind(path), all, /agent’s own/);
  assert.ok(sourcesWith(bind('/etc/ssl', { readonly: true }), [{ path: '/etc/ssl' }]));
});

test('a socket, a pipe and a device are no volumes', async () => {
  const server = createServer();
  const path = join(root, 'socket');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  unbound(bind(path), [{ path: real }], /neither/, 'VOLUME_REFUSED');
  await new Promise((resolve) => server.close(resolve));
  unbound(bind('/dev/null'), [{ path: '/dev/null' }], /neither/, 'VOLUME_REFUSED');
});
