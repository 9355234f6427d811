/** From limits to the writes that set them, as cgroup v2 wants them. Pure: `--dry-run` shows exactly what would be written. */
import type { CgroupController, IoLimit, LimitWrite, Resources } from '#shared/cgroup.ts';
import { NsfleetError } from '#shared/errors.ts';
import type { Lack } from '#shared/lack.ts';

const periodUs = 100_000;
/** The kernel refuses a quota below a millisecond. */
const quotaUsMin = 1000;

type Limit = { controller: CgroupController; file: string; value: (resources: Resources) => string | undefined; none: string };

const limits: readonly Limit[] = [
  { controller: 'cpu', file: 'cpu.max', value: ({ cpus }) => (cpus === undefined ? undefined : cpuMax(cpus)), none: `max ${periodUs}` },
  { controller: 'cpu', file: 'cpu.weight', value: ({ cpuWeight }) => cpuWeight?.toString(), none: '100' },
  // Before memory.max: what goes below the use of the moment is taken back first, and only then killed for.
  { controller: 'memory', file: 'memory.high', value: ({ memoryHighBytes }) => memoryHighBytes?.toString(), none: 'max' },
  {
    controller: 'memory',
    file: 'memory.swap.max',
    value: ({ swapBytes, memoryBytes }) => (swapBytes ?? (memoryBytes === undefined ? undefined : 0))?.toString(),
    none: 'max',
  },
  { controller: 'memory', file: 'memory.max', value: ({ memoryBytes }) => memoryBytes?.toString(), none: 'max' },
  { controller: 'pids', file: 'pids.max', value: ({ pids }) => pids?.toString(), none: 'max' },
  {
    controller: 'io',
    file: 'io.weight',
    value: ({ ioWeight }) => (ioWeight === undefined ? undefined : `default ${ioWeight}`),
    none: 'default 100',
  },
];

/** What is to be written to go from `before` to `after`, in order. What stays is not written again. */
export function limitWrites(after: Resources, before: Resources = {}): LimitWrite[] {
  const writes = limits.flatMap(({ controller, file, value, none }): LimitWrite[] => {
    const [was, is] = [value(before) ?? none, value(after) ?? none];
    return was === is ? [] : [{ controller, file, value: is }];
  });
  const devices = new Set([...(before.io ?? []), ...(after.io ?? [])].map(({ device }) => device));
  for (const device of devices) {
    const [was, is] = [before, after].map(({ io }) =>
      ioMax(
        device,
        io?.find((limit) => limit.device === device),
      ),
    );
    if (is !== undefined && was !== is) writes.push({ controller: 'io', file: 'io.max', value: is });
  }
  return writes;
}

/** What is to be written while it runs. What it was allowed to go without when it was made stays as it is. */
export function limitChanges(after: Resources, { resources, lacks }: { resources: Resources; lacks: readonly Lack[] }): LimitWrite[] {
  const without = new Set(lacks.map(({ what }) => what));
  return limitWrites(after, resources).filter(({ controller }) => !without.has(lackOf(controller)));
}

/** As a sandbox's status names it. */
export const lackOf = (controller: CgroupController): string => `limits of ${controller}`;

/** LIMITS_UNAVAILABLE with everything that is missing, where a limit needs a controller that sandboxes cannot have here. */
export function requireControllers(lacks: ReadonlyMap<CgroupController, string>, writes: readonly LimitWrite[], target: string): void {
  const missing = [...new Set(writes.map(({ controller }) => controller))].filter((controller) => lacks.has(controller));
  if (missing.length === 0) return;
  const reasons = [...new Set(missing.map((controller) => lacks.get(controller)))];
  const reason = `no limits of ${missing.join(', ')} on this host: ${reasons.join('; ')}`;
  throw new NsfleetError('LIMITS_UNAVAILABLE', { attempted: 'limit sandbox', target, reason });
}

/** For what only a cgroup can do. */
export function noCgroupOf(target: string): NsfleetError {
  const reason = 'it has no cgroup of its own: its host has no cgroup v2 for sandboxes, or had none when it was made';
  return new NsfleetError('LIMITS_UNAVAILABLE', { attempted: 'change sandbox', target, reason });
}

function cpuMax(cpus: number): string {
  return `${Math.max(quotaUsMin, Math.round(cpus * periodUs))} ${periodUs}`;
}

function ioMax(device: string, limit: Omit<IoLimit, 'device'> = {}): string {
  const { readBytesPerSecond, writeBytesPerSecond, readsPerSecond, writesPerSecond } = limit;
  const parts = { rbps: readBytesPerSecond, wbps: writeBytesPerSecond, riops: readsPerSecond, wiops: writesPerSecond };
  return [device, ...Object.entries(parts).map(([name, value]) => `${name}=${value ?? 'max'}`)].join(' ');
}
