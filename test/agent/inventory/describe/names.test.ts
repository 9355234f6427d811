import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cgroupRootOf } from '#agent/inventory/describe/cgroup-root.ts';
import { namesOfCgroups } from '#agent/inventory/describe/cgroup-names.ts';
import { parseNsPids } from '#agent/inventory/describe/proc-text.ts';
import { NamespaceName } from '#shared/namespace-details.ts';

const id = '0123456789abcdef'.repeat(4);
const uid = '12345678-1234-1234-1234-123456789abc';
const names = (...lines: string[]) => namesOfCgroups(Buffer.from(`${lines.join('\n')}\n`)).map(({ source, name }) => `${source} ${name}`);

test('every engine’s cgroups give its names, the innermost first', () => {
  const cases: [string, string[]][] = [
    ['0::/', []],
    ['0::/init.scope', ['systemd init.scope']],
    ['0::/user.slice/user-1000.slice/user@1000.service/app.slice/vim.service', ['systemd vim.service']],
    [`0::/system.slice/docker-${id}.scope`, [`docker ${id}`, `systemd docker-${id}.scope`]],
    [`4:memory:/docker/${id}`, [`docker ${id}`]],
    [`0::/docker/${id}/init.scope`, [`docker ${id}`, 'systemd init.scope']],
    [
      `0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${uid.replaceAll('-', '_')}.slice/cri-containerd-${id}.scope`,
      [`containerd ${id}`, `kubernetes ${uid}`, `systemd cri-containerd-${id}.scope`],
    ],
    [`0::/kubepods/besteffort/pod${uid}/${id}`, [`containerd ${id}`, `kubernetes ${uid}`]],
    [
      `0::/kubepods.slice/kubepods-pod${uid.replaceAll('-', '_')}.slice/crio-${id}.scope/container`,
      [`crio ${id}`, `kubernetes ${uid}`, `systemd crio-${id}.scope`],
    ],
    [`0::/machine.slice/libpod-${id}.scope/container`, [`podman ${id}`, `systemd libpod-${id}.scope`]],
    [`0::/machine.slice/libpod-conmon-${id}.scope`, [`systemd libpod-conmon-${id}.scope`]],
    ['0::/lxc.payload.web-1/system.slice/ssh.service', ['lxc web-1', 'systemd ssh.service']],
    ['12:cpu:/lxc/web-1', ['lxc web-1']],
    ['0::/lxc.monitor.web-1', []],
    ['0::/machine.slice/machine-my\\x2dbox.scope/payload', ['nspawn my-box', 'systemd machine-my\\\\x2dbox.scope']],
    ['0::/machine.slice/systemd-nspawn@deb.service/payload', ['nspawn deb', 'systemd systemd-nspawn@deb.service']],
  ];
  for (const [line, expected] of cases) assert.deepEqual(names(line), expected, line);
});

test('one source is named once, whichever hierarchy it was found in', () => {
  assert.deepEqual(names(`9:name=systemd:/docker/${id}`, `4:memory:/docker/${id}`, '0::/'), [`docker ${id}`]);
});

test('whatever a cgroup is called, the names are names', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      for (const name of namesOfCgroups(bytes)) NamespaceName.parse(name);
    }),
  );
});

test('the root of a cgroup namespace is what a member’s path has more outside than inside', () => {
  const root = (outside: string, inside: string) => cgroupRootOf(Buffer.from(outside), Buffer.from(inside));
  assert.equal(root('0::/a/b/c\n', '0::/c\n'), '/a/b');
  assert.equal(root('0::/a\n', '0::/\n'), '/a');
  assert.equal(root('0::/a\n', '0::/a\n'), '/');
  assert.equal(root('0::/\n', '0::/\n'), '/');
  assert.equal(root('0::/other\n', '0::/../other\n'), null, 'it has left');
  assert.equal(root('1:name=systemd:/x/y\n0::/\n', '1:name=systemd:/y\n0::/\n'), '/x', 'no unified hierarchy in use');
  assert.equal(root('', ''), null);
});

test('a carriage return in a name ends no line', () => {
  const cgroup = (path: string): Buffer => Buffer.from(`0::${path}\n`);
  assert.equal(cgroupRootOf(cgroup('/a\rb/c'), cgroup('/c')), '/a\rb');
  assert.deepEqual(parseNsPids('Name:\t\rNSpid:\t1\nUmask:\t0022\nNSpid:\t42\t7\n'), [42, 7]);
});
