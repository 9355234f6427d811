/** The generated parts of a root's /etc. Pure. */
import type { PlanOperation } from '#shared/plan.ts';
import type { ResolvedSpec } from '../image/process.ts';
import { mkdir } from './mounts.ts';

/** What an id has no name for shows as this one (fs.overflowuid). */
const nobody = 65_534;

/** passwd, group, hosts, hostname and nsswitch.conf with nothing in them of the host's. */
export function etcOperations({ user }: Pick<ResolvedSpec, 'user'>, hostname: string): PlanOperation[] {
  const uid = typeof user.uid === 'number' ? user.uid : 0;
  const gid = typeof user.gid === 'number' ? user.gid : uid;
  const extraUser = uid === 0 || uid === nobody ? [] : [`user:x:${uid}:${gid}:user:/:/bin/sh`];
  const extraGroup = gid === 0 || gid === nobody || gid === 5 ? [] : [`user:x:${gid}:`];
  return [
    file('passwd', ['root:x:0:0:root:/root:/bin/sh', ...extraUser, `nobody:x:${nobody}:${nobody}:nobody:/:/usr/sbin/nologin`]),
    file('group', ['root:x:0:', 'tty:x:5:', ...extraGroup, `nogroup:x:${nobody}:`]),
    file('hosts', hosts(hostname)),
    file('hostname', [hostname]),
    file('nsswitch.conf', ['passwd: files', 'group: files', 'shadow: files', 'hosts: files dns', 'services: files', 'protocols: files']),
  ];
}

/** In a root of the user's own: what docker makes there, in place of what has the name. */
export function ownEtcOperations(hostname: string, resolvConf: string): PlanOperation[] {
  return [
    mkdir('/etc', 0o755, true),
    file('hosts', hosts(hostname), true),
    file('hostname', [hostname], true),
    file('resolv.conf', [resolvConf.trimEnd()], true),
  ];
}

function hosts(hostname: string): string[] {
  return ['127.0.0.1 localhost', `127.0.1.1 ${hostname}`, '::1 localhost ip6-localhost ip6-loopback'];
}

/** `own`: in a root of the user's own, which may have such a file, or a symlink that leads somewhere in it. */
function file(name: string, lines: string[], own = false): PlanOperation {
  const content = `${lines.join('\n')}\n`;
  return { op: 'file', side: 'inner', path: `/etc/${name}`, mode: 0o644, content, replace: own, followSymlinks: own };
}
