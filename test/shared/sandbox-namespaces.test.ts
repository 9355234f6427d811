/** What of a sandbox's namespaces goes together: one table of specs, each with the words of its refusal. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SandboxSpec } from '#shared/sandbox.ts';
import type { SandboxSpecInput } from '#shared/sandbox.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const web = { from: 'sandbox', name: 'web' } as const;
const host = { from: 'host' } as const;
const nobody = { uid: 5, gid: 5 };

function problems(spec: Partial<SandboxSpecInput>): string {
  const parsed = SandboxSpec.safeParse({ command: ['true'], ...spec });
  return parsed.success ? '' : parsed.error.issues.map(({ message }) => message).join('; ');
}

test('what goes together', () => {
  const fine: Partial<SandboxSpecInput>[] = [
    {},
    { namespaces: { net: web, ipc: host, uts: web, cgroup: host, time: web } },
    { namespaces: { pid: web, user: web } },
    { namespaces: { pid: host, user: host }, user: nobody },
    { namespaces: { mnt: web, pid: web, user: web } },
    { namespaces: { net: { from: 'pid', pid: 5 } }, constraint: 'host.name == "a"' },
    { timeOffsets: { boottimeMs: 5 }, hostname: 'a', domainname: 'b.c' },
    { namespaces: { user: host }, user: { uid: 'www-data', gid: 33 } },
  ];
  for (const spec of fine) assert.equal(problems(spec), '', JSON.stringify(spec));
});

test('what does not, with a sentence', () => {
  const refused: [Partial<SandboxSpecInput>, RegExp][] = [
    [{ namespaces: { pid: web } }, /^pid of sandbox web needs the user namespace that owns it/],
    [{ namespaces: { mnt: web, user: web } }, /^mnt of sandbox web needs user and pid of the same/],
    [{ namespaces: { mnt: web, user: web, pid: web }, root: { type: 'directory', path: '/x' } }, /leave root and volumes out/],
    [{ namespaces: { user: host } }, /user and groups other than 0/],
    [{ namespaces: { user: host }, user: { uid: 5, gid: 0 } }, /other than 0/],
    [{ namespaces: { user: host }, user: { uid: 5, gid: 5, groups: [0] } }, /other than 0/],
    [{ namespaces: { user: host }, user: { uid: 'root', gid: 5 } }, /other than 0/],
    [{ namespaces: { user: host }, user: nobody, capabilities: { add: ['CAP_NET_RAW'] } }, /capabilities .* would be over the host/],
    [{ namespaces: { uts: web }, hostname: 'x' }, /hostname and domain name of sandbox web/],
    [{ namespaces: { uts: host }, domainname: 'x' }, /of the host are not changed/],
    [{ namespaces: { time: host }, timeOffsets: { monotonicMs: 1 } }, /need a new time namespace/],
    [{ namespaces: { pid: web, user: web }, timeOffsets: { monotonicMs: 1 } }, /need a new pid namespace/],
    [{ namespaces: { net: { from: 'path', path: '/run/netns/blue' } } }, /^net of \/run\/netns\/blue: say on which host/],
    [
      { namespaces: { user: web }, idMaps: { uid: [{ inside: 0, outside: 9, count: 9 }], gid: [{ inside: 0, outside: 9, count: 9 }] } },
      /for a new user namespace only/,
    ],
    [{ namespaces: { net: { from: 'id', id: '-1' } }, constraint: 'true' }, /.+/],
    [{ namespaces: { nets: host } as never }, /Unrecognized key/],
  ];
  for (const [spec, words] of refused) assert.match(problems(spec), words, JSON.stringify(spec));
});
