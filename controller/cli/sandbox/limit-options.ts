/** Limits as people type them: docker's names where docker has one. */
import type { Resources, ResourcesChange } from '#shared/cgroup.ts';
import { sizeBytes } from './sizes.ts';
import { integerOption, wrong } from './values.ts';

export type LimitOptions = {
  cpus?: string;
  cpuWeight?: string;
  memory?: string;
  memoryHigh?: string;
  swap?: string;
  pidsLimit?: string;
  ioWeight?: string;
  ioMax?: string[];
};

/** In `sandbox update`: takes the limit away. */
const none = 'none';

/** What was typed, for a new sandbox. Throws USAGE. */
export function limitOptions(options: LimitOptions): Resources {
  const change = limitChange(options);
  const [name] = Object.entries(change).find(([, value]) => value === null) ?? [];
  if (name !== undefined) throw wrong('the limits', none, 'leaving the option out: a new sandbox has no limits that could be taken away');
  return change as Resources;
}

/** The same for one that runs; `none` takes a limit away. Throws USAGE. */
export function limitChange(options: LimitOptions): ResourcesChange {
  const one = <T>(text: string | undefined, read: (text: string) => T): T | null | undefined => {
    if (text === undefined) return undefined;
    return text === none ? null : read(text);
  };
  const change: ResourcesChange = {
    cpus: one(options.cpus, (text) => cpusOf('--cpus', text)),
    cpuWeight: one(options.cpuWeight, (text) => integerOption('--cpu-weight', text)),
    memoryBytes: one(options.memory, (text) => sizeBytes('--memory', text)),
    memoryHighBytes: one(options.memoryHigh, (text) => sizeBytes('--memory-high', text)),
    swapBytes: one(options.swap, (text) => sizeBytes('--swap', text)),
    pids: one(options.pidsLimit, (text) => integerOption('--pids-limit', text)),
    ioWeight: one(options.ioWeight, (text) => integerOption('--io-weight', text)),
    io: options.ioMax === undefined ? undefined : options.ioMax.includes(none) ? null : options.ioMax.map(ioMaxOf),
  };
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
}

function cpusOf(option: string, text: string): number {
  if (!/^[0-9]{1,4}(\.[0-9]{1,3})?$/.test(text)) throw wrong(option, text.slice(0, 80), 'processors: 2, 0.5');
  return Number(text);
}

const ioNames = { rbps: 'readBytesPerSecond', wbps: 'writeBytesPerSecond', riops: 'readsPerSecond', wiops: 'writesPerSecond' } as const;

/** `254:0,rbps=10m,wiops=100`: io.max's own words, with sizes. */
function ioMaxOf(text: string): NonNullable<Resources['io']>[number] {
  const [device = '', ...limits] = text.split(',');
  const right = 'MAJOR:MINOR,rbps=10m,wbps=10m,riops=100,wiops=100 with at least one of them';
  if (!/^[0-9]+:[0-9]+$/.test(device) || limits.length === 0) throw wrong('--io-max', text.slice(0, 80), right);
  const named = limits.map((limit) => {
    const [name = '', value = ''] = limit.split('=');
    const property = Object.hasOwn(ioNames, name) ? ioNames[name as keyof typeof ioNames] : undefined;
    if (property === undefined) throw wrong('--io-max', text.slice(0, 80), right);
    return [property, sizeBytes('--io-max', value)] as const;
  });
  return { device, ...Object.fromEntries(named) };
}
