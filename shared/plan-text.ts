/** A plan as text for people: what `--dry-run` prints. */
import type { Plan, PlanIdMap, PlanOperation } from './plan.ts';

/** struct sock_filter */
const filterInstructionBytes = 8;

/**
 * Numbered lines, the numbers being those that the shim's errors name (`failed … <operation> …`).
 *
 *     namespaces  user mnt pid …
 *     uid map     0 → 1879048192 × 65536
 *       0  host   tree  /usr → slot 0  readonly nosuid nodev recursive
 */
export function formatPlan(plan: Plan): string {
  const { argv, env, cwd, uid, gid } = plan.exec;
  const width = Math.max(...plan.operations.map(({ op }) => op.length), 0);
  return [
    `namespaces  ${plan.namespaces.join(' ')}`,
    ...plan.joins.map(({ type, id, inode }) => `joins       ${type} ${id === null ? `inode ${inode}` : `id ${id}`}`),
    `uid map     ${plan.idMaps.uid.map(formatMap).join(', ')}`,
    `gid map     ${plan.idMaps.gid.map(formatMap).join(', ')}${plan.setgroupsDeny ? ', setgroups denied' : ''}`,
    ...plan.operations.map((operation, index) =>
      `${String(index).padStart(3)}  ${operation.side.padEnd(5)}  ${operation.op.padEnd(width)}  ${formatArguments(operation)}`.trimEnd(),
    ),
    `exec        ${argv.map(quote).join(' ')}`,
    `            uid ${uid ?? 'by name'} gid ${gid ?? 'by name'} cwd ${quote(cwd)}`,
    ...Object.entries(env).map(([name, value]) => `            ${name}=${quote(value)}`),
    '',
  ].join('\n');
}

function formatMap({ inside, outside, count }: PlanIdMap): string {
  return `${inside} → ${outside} × ${count}`;
}

/** Words stay as they are; the rest is quoted with its control characters escaped, so that a line stays a line. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word);
}

const flagNames = [
  'paths',
  'bind',
  'connect',
  'abstractSockets',
  'signals',
  'readonly',
  'nosuid',
  'nodev',
  'noexec',
  'recursive',
  'optional',
  'plain',
  'slave',
  'mapOwners',
  'userxattr',
  'replace',
] as const;

function formatArguments(operation: PlanOperation): string {
  const flags = flagNames.filter((name) => name in operation && operation[name as keyof PlanOperation] === (true as never));
  return [formatSubject(operation), ...flags].filter((part) => part !== '').join(' ');
}

function formatSubject(operation: PlanOperation): string {
  switch (operation.op) {
    case 'tree': {
      const device = operation.device === null ? '' : ` (device ${operation.device.major}:${operation.device.minor})`;
      return `${quote(operation.path)}${device} → slot ${operation.slot}`;
    }
    case 'lower':
      return quote(operation.path);
    case 'overlay': {
      const { upper, memory, slot } = operation;
      return `${upper}${memory === null ? '' : ` in memory ${memory.sizeBytes} bytes ${memory.inodes} files`} → slot ${slot}`;
    }
    case 'state_mkdir':
      return `${operation.name} ${octal(operation.mode)}${operation.uid === null ? '' : ` owner ${operation.uid}:${operation.gid}`}`;
    case 'root':
      return operation.source.type === 'slot' ? `slot ${operation.source.slot}` : `tmpfs ${operation.source.sizeBytes} bytes`;
    case 'tmpfs':
      return `${operation.target} ${octal(operation.mode)} ${operation.sizeBytes} bytes ${operation.inodes} files`;
    case 'attach':
      return `slot ${operation.slot} → ${quote(operation.target)}`;
    case 'devpts':
      return `${operation.target}${operation.gid === null ? '' : ` gid ${operation.gid}`}`;
    case 'mkdir':
      return `${quote(operation.path)} ${octal(operation.mode)}`;
    case 'symlink':
      return `${quote(operation.path)} → ${quote(operation.to)}`;
    case 'file':
      return `${quote(operation.path)} ${octal(operation.mode)} ${quote(operation.content)}`;
    case 'proc':
    case 'sysfs':
    case 'mqueue':
    case 'mask':
    case 'readonly':
    case 'remount_readonly':
      return quote(operation.target);
    case 'hostname':
    case 'domainname':
      return quote(operation.name);
    case 'unshare':
      return operation.namespace;
    case 'sysctl':
      return `${operation.name} = ${quote(operation.value)}`;
    case 'dumpable':
      return operation.value ? '1' : '0';
    case 'rlimit':
      return `${operation.resource} ${operation.soft}${operation.hard === null ? '' : ` hard ${operation.hard}`}`;
    case 'seccomp':
    case 'seccomp_log':
      return `${quote(operation.profile)} (${Buffer.from(operation.program, 'base64').length / filterInstructionBytes} instructions)`;
    case 'raise_rlimit':
      return `${operation.resource} hard ${operation.hard}`;
    case 'nice':
    case 'oom_score_adj':
      return String(operation.value);
    case 'user':
      return [operation.name ?? 'by its uid', ...(operation.group === null ? [] : [`group ${operation.group}`])].join(' ');
    case 'group':
      return String(operation.name ?? operation.gid);
    case 'drop_capabilities':
      return operation.keep.length === 0 ? '' : `but ${operation.keep.join(' ')}`;
    case 'lifetime':
      return `${operation.limit} ${operation.ms} ms, then signal ${operation.signal}, after ${operation.graceMs} ms SIGKILL`;
    case 'umask':
      return octal(operation.mask);
    case 'time_offsets':
      return `monotonic ${operation.monotonicMs} ms boottime ${operation.boottimeMs} ms`;
    case 'landlock_path':
      return quote(operation.path);
    case 'landlock_port':
      return String(operation.port);
    case 'landlock':
    case 'landlock_restrict':
    case 'propagation':
    case 'pivot_root':
    case 'loopback_up':
    case 'no_new_privs':
    case 'session_keyring':
      return '';
  }
}

function octal(number: number): string {
  return number.toString(8).padStart(4, '0');
}
