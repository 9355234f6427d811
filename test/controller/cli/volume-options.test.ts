/** Volumes and sizes as docker's users type them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sandboxRequest } from '#controller/cli/sandbox/request.ts';
import type { RunOptions } from '#controller/cli/sandbox/request.ts';
import { sizeBytes } from '#controller/cli/sandbox/sizes.ts';

const volumesOf = (options: RunOptions) => sandboxRequest(['true'], options, {}).spec.volumes;

test('-v, --mount and --tmpfs', () => {
  const data = { type: 'bind', source: '/srv/data', target: '/data', readonly: true, noexec: false, propagation: 'private' };
  assert.deepEqual(volumesOf({ volume: ['/srv/data:/data:ro'] }), [data]);
  assert.deepEqual(volumesOf({ mount: ['type=bind,src=/srv/data,dst=/data,readonly'] }), [data]);
  assert.deepEqual(volumesOf({ mount: ['source=/srv/data,destination=/data,ro=true,bind-propagation=rslave'] }), [
    { ...data, propagation: 'rslave' },
  ]);
  assert.deepEqual(volumesOf({ volume: ['/srv/data:/data', '/a:/b:noexec,rw'] }), [
    { ...data, readonly: false },
    { ...data, source: '/a', target: '/b', readonly: false, noexec: true },
  ]);
  const tmpfs = { type: 'tmpfs', target: '/t', readonly: false, noexec: true, sizeBytes: 67_108_864, mode: 0o1777 };
  assert.deepEqual(volumesOf({ tmpfs: ['/t'] }), [tmpfs]);
  assert.deepEqual(volumesOf({ tmpfs: ['/t:size=1m,mode=700,exec'] }), [{ ...tmpfs, sizeBytes: 1_048_576, mode: 0o700, noexec: false }]);
  assert.deepEqual(volumesOf({ mount: ['type=tmpfs,target=/t,tmpfs-size=1g,tmpfs-mode=755'] }), [
    { ...tmpfs, sizeBytes: 1_073_741_824, mode: 0o755 },
  ]);
});

test('what cannot be, is refused with the reason', () => {
  const cases: [RunOptions, string, RegExp][] = [
    [{ volume: ['data:/data'] }, 'USAGE', /no named volumes/],
    [{ volume: ['/data'] }, 'USAGE', /\/source:\/target/],
    [{ volume: ['/a:/b:Z'] }, 'USAGE', /known words/],
    [{ volume: ['/a:/b:ro:x'] }, 'USAGE', /\/source/],
    [{ mount: ['type=volume,target=/b'] }, 'USAGE', /type=bind or type=tmpfs/],
    [{ mount: ['type=bind,source=/a'] }, 'USAGE', /target=/],
    [{ mount: ['type=bind,source=/a,target=/b,consistency=cached'] }, 'USAGE', /type, source, target/],
    [{ mount: ['target=/b'] }, 'INVALID_INPUT', /volumes\.0\.source/],
    [{ tmpfs: ['/t:size=much'] }, 'USAGE', /a size/],
    [{ volume: ['/a:/proc/sys'] }, 'INVALID_INPUT', /not in \/proc/],
    [{ volume: ['/a:/sys'] }, 'INVALID_INPUT', /not in/],
    [{ tmpfs: ['/dev/pts'] }, 'INVALID_INPUT', /not in/],
    [{ volume: ['/a:/b/../c'] }, 'INVALID_INPUT', /without \. and \.\./],
    [{ volume: ['/a:/b/'] }, 'INVALID_INPUT', /without \//],
    [{ volume: ['/a:/b', '/c:/b'] }, 'INVALID_INPUT', /one target/],
    [{ rootSize: '1g' }, 'USAGE', /a root with a writable layer/],
    [{ root: '/srv/r', platform: 'linux/arm64' }, 'USAGE', /a root that is an image/],
    [{ root: 'tar:/srv/r.tar', entrypoint: 'x' }, 'USAGE', /a root that is an image/],
  ];
  for (const [options, code, reason] of cases) assert.throws(() => volumesOf(options), { code, message: reason }, JSON.stringify(options));
  assert.equal(volumesOf({ tmpfs: ['/dev/shm:size=1g'] })[0]?.target, '/dev/shm');
});

test('sizes', () => {
  for (const [text, bytes] of [
    ['0', 0],
    ['64m', 67_108_864],
    ['1G', 1_073_741_824],
    ['2KiB', 2048],
    ['7b', 7],
  ] as const)
    assert.equal(sizeBytes('--x', text), bytes, text);
  for (const text of ['', 'm', '-1', '1.5g', '9999999999t', '1x']) assert.throws(() => sizeBytes('--x', text), { code: 'USAGE' }, text);
  const { root } = sandboxRequest(['true'], { root: '/srv/r', rootSize: '64m' }, {}).spec;
  assert.deepEqual(root, { type: 'directory', path: '/srv/r', writable: true, upper: { type: 'memory', sizeBytes: 67_108_864 } });
});

test('--root: the host, a directory, an archive, an image', () => {
  const rootOf = (options: RunOptions) => sandboxRequest([], options, {}).spec.root;
  const rest = { writable: true, upper: { type: 'disk' } };
  const image = { type: 'oci', path: '/srv/web', ...rest };
  assert.deepEqual(rootOf({ root: 'oci:/srv/web' }), image);
  assert.deepEqual(rootOf({ root: 'oci-archive:/srv/web:registry:5000/web:1.4' }), { ...image, reference: 'registry:5000/web:1.4' });
  assert.deepEqual(rootOf({ root: 'docker-archive:/srv/web', entrypoint: 'sh', platform: 'linux/arm64/v8', readOnly: true }), {
    ...image,
    entrypoint: ['sh'],
    platform: 'linux/arm64/v8',
    writable: false,
  });
  assert.deepEqual(rootOf({ root: 'oci:/srv/web', entrypoint: '' }).type, 'oci');
  assert.deepEqual(sandboxRequest(['x'], { root: 'tar:/srv/r.tar.gz' }, {}).spec.root, { type: 'tarball', path: '/srv/r.tar.gz', ...rest });
  assert.throws(() => rootOf({ root: '/srv/r' }), { code: 'INVALID_INPUT', message: /only an image brings a command/ });
  assert.throws(() => rootOf({ root: 'oci:relative' }), { code: 'INVALID_INPUT', message: /root\.path/ });
});
