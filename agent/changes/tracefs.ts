/**
 * A tracefs instance of our own: which events the kernel writes into it, and where a process stands in each. The events of an instance
 * are switched on for it alone, and go with it.
 *
 * While one of the syscall events is on, every system call of the host takes the kernel's slow way in and out: 30 ns more each,
 * measured on Linux 6.18.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { mkdir, readFile, readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { errorText } from '#shared/errors.ts';
import { changeKinds } from './records.ts';

const mountPoint = '/sys/kernel/tracing';
/** PROC_PID_INIT_INO of linux/proc_ns.h: the one in which the kernel's events count. */
const firstPidNamespace = 'pid:[4026531836]';
/** Where it is mounted by custom. */
export const tracefsPlaces = [mountPoint, '/sys/kernel/debug/tracing'];
/** Of each CPU. A thousand events: a tenth of a second of 5,000 forks a second, of which the watcher reads each 5 ms. */
const bufferKiB = 64;

type TraceEvent = { path: string; field: string; kinds: number; filter?: string; optional?: true };

const changed = changeKinds.change;
const notOurs = '!(comm ~ "nsfleet-*")';

/**
 * task_newtask's filter leaves out threads (CLONE_THREAD, 65536). sched_process_free comes when the pid is free, some 20 ms after the
 * end. Bind mounts are heard at their entry, which shows the flag (MS_BIND, 4096). What sandboxes mount while they are made is theirs alone.
 */
const events: readonly TraceEvent[] = [
  { path: 'task/task_newtask', field: 'pid', kinds: changeKinds.new, filter: '!(clone_flags & 65536)' },
  { path: 'sched/sched_process_exit', field: 'pid', kinds: changeKinds.exit },
  { path: 'sched/sched_process_free', field: 'pid', kinds: changeKinds.gone },
  { path: 'syscalls/sys_exit_setns', field: 'common_pid', kinds: changeKinds.namespaces, filter: 'ret == 0' },
  { path: 'syscalls/sys_exit_unshare', field: 'common_pid', kinds: changeKinds.namespaces, filter: 'ret == 0' },
  { path: 'sched/sched_process_exec', field: 'pid', kinds: changed },
  { path: 'task/task_rename', field: 'pid', kinds: changed, optional: true },
  ...['setuid', 'setreuid', 'setresuid'].map((call): TraceEvent => ({
    path: `syscalls/sys_exit_${call}`,
    field: 'common_pid',
    kinds: changed,
    filter: 'ret == 0',
    optional: true,
  })),
  {
    path: 'syscalls/sys_enter_mount',
    field: 'common_pid',
    kinds: changeKinds.mount,
    filter: `flags & 4096 && ${notOurs}`,
    optional: true,
  },
  { path: 'syscalls/sys_exit_umount', field: 'common_pid', kinds: changeKinds.mount, filter: `ret == 0 && ${notOurs}`, optional: true },
  { path: 'syscalls/sys_exit_move_mount', field: 'common_pid', kinds: changeKinds.mount, filter: `ret == 0 && ${notOurs}`, optional: true },
];

export type TraceInstance = { instances: string; instance: string; table: Uint8Array };

/**
 * Makes an instance with its events on, after removing those of agents that are gone. Throws a plain Error that says why tracefs is not
 * to be had; nothing is left then. `owner` is this agent's pid and start time.
 */
export async function makeInstance(
  owner: { pid: number; startTicks: bigint },
  startOf: (pid: number) => bigint | null,
): Promise<TraceInstance> {
  if (readlinkSync('/proc/self/ns/pid') !== firstPidNamespace)
    throw new Error('it tells pids of the first pid namespace, and this agent is in another');
  const root = await findTracefs();
  const instances = join(root, 'instances');
  await removeStale(instances, startOf);
  const instance = `nsfleet-${owner.pid}-${owner.startTicks}-${randomBytes(4).toString('hex')}`;
  const path = join(instances, instance);
  await mkdir(path).catch((error: unknown) => fail(`no instance can be made in ${instances}`, error));
  try {
    await writeFile(join(path, 'buffer_size_kb'), String(bufferKiB));
    // Wake the reader for the first event. Before Linux 5.0 that is what happens anyway.
    await writeFile(join(path, 'buffer_percent'), '0', { flag: 'r+' }).catch(() => undefined);
    const rows: [id: number, offset: number, kinds: number][] = [];
    for (const event of events) {
      const row = await enable(path, event);
      if (row !== null) rows.push(row);
    }
    return { instances, instance, table: Buffer.from(Uint32Array.from(rows.flat()).buffer) };
  } catch (error) {
    await rmdir(path).catch(() => undefined);
    throw error;
  }
}

/** When its watcher could not do it. */
export async function removeInstance({ instances, instance }: TraceInstance): Promise<void> {
  await rmdir(join(instances, instance)).catch(() => undefined);
}

async function findTracefs(): Promise<string> {
  for (const place of tracefsPlaces) if (await isTracefs(place)) return place;
  // systemd mounts it when somebody looks; elsewhere nobody does.
  const options = ['-t', 'tracefs', '-o', 'nosuid,nodev,noexec', 'tracefs', mountPoint];
  await promisify(execFile)('mount', options).catch((error: unknown) => fail(`tracefs is not mounted at ${mountPoint}`, error));
  if (await isTracefs(mountPoint)) return mountPoint;
  throw new Error(`${mountPoint} is no tracefs`);
}

async function isTracefs(path: string): Promise<boolean> {
  return readdir(join(path, 'instances')).then(
    () => true,
    () => false,
  );
}

/** The name tells whose it is. One in use is busy whatever its name says. */
async function removeStale(instances: string, startOf: (pid: number) => bigint | null): Promise<void> {
  for (const name of await readdir(instances)) {
    const [, pid, start] = /^nsfleet-(\d{1,10})-(\d{1,20})-[0-9a-f]{8}$/.exec(name) ?? [];
    if (pid === undefined || start === undefined || startOf(Number(pid)) === BigInt(start)) continue;
    await rmdir(join(instances, name)).catch(() => undefined);
  }
}

/** Null: this kernel has not got it, and it can be done without. */
async function enable(instance: string, { path, field, kinds, filter, optional }: TraceEvent): Promise<[number, number, number] | null> {
  const directory = join(instance, 'events', path);
  try {
    const format = await readFile(join(directory, 'format'), 'utf8');
    const id = Number(/^ID: (\d+)$/m.exec(format)?.[1]);
    const offset = Number(new RegExp(`\\b${field};\\s+offset:(\\d+);\\s+size:4;`).exec(format)?.[1]);
    if (!Number.isInteger(id) || !Number.isInteger(offset)) throw new Error('its format is unknown');
    if (filter !== undefined) await writeFile(join(directory, 'filter'), filter);
    await writeFile(join(directory, 'enable'), '1');
    return [id, offset, kinds];
  } catch (error) {
    if (optional) return null;
    return fail(`the kernel’s event ${path} is not to be had`, error);
  }
}

function fail(what: string, cause: unknown): never {
  throw new Error(`${what}: ${errorText(cause)}`, { cause });
}
