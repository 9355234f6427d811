/** Whether this user may make user namespaces: found out by making one, because no single setting tells. */
import { readFileSync } from 'node:fs';
import { NsfleetError } from '#shared/errors.ts';
import { run } from './run.ts';

/** What forbids it, each with the value that does. */
const switches = [
  {
    path: '/proc/sys/user/max_user_namespaces',
    forbids: (value: string) => value === '0',
    allow: 'sysctl -w user.max_user_namespaces=15000',
  },
  {
    path: '/proc/sys/kernel/unprivileged_userns_clone',
    forbids: (value: string) => value === '0',
    allow: 'sysctl -w kernel.unprivileged_userns_clone=1',
  },
  {
    path: '/proc/sys/kernel/apparmor_restrict_unprivileged_userns',
    forbids: (value: string) => value === '1',
    allow: 'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
  },
];

/** Resolves where a user namespace could be made with all of the others inside it; NAMESPACES_UNAVAILABLE with what to do where not. */
export async function requireNamespaces(): Promise<void> {
  const args = ['--user', '--map-root-user', '--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup', '--fork', '--', 'true'];
  const result = await run('unshare', args, { timeoutMs: 10_000 });
  if (result.code === 0) return;
  const found = switches.filter(({ path, forbids }) => forbids(readSetting(path)));
  throw new NsfleetError('NAMESPACES_UNAVAILABLE', {
    attempted: 'make namespaces as',
    target: process.getuid?.() === 0 ? 'root' : `user ${process.getuid?.()}`,
    reason: result.stderr.trim() || `unshare ended with code ${result.code}`,
    ...(found.length === 0 ? {} : { remedy: `as root: ${found.map(({ allow }) => allow).join(' && ')}` }),
  });
}

/** What an ordinary user goes without, in one line; null for root. */
export function missingForUser(): string | null {
  if (process.getuid?.() === 0) return null;
  return 'as an ordinary user: sandboxes with one mapped id instead of a range of 65,536, no view of other users’ namespaces, no cgroup limits; run `npm start` as root for all of it';
}

function readSetting(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}
