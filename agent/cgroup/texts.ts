/** The files of a cgroup as what they say. Pure; a line that is none is left out, since newer kernels add lines. */
import type { Pressure } from '#shared/cgroup.ts';

/** `<name> <number>` lines: cpu.stat, memory.events, cgroup.events. */
export function keyedNumbers(text: string): Map<string, number> {
  return new Map([...text.matchAll(/^(\w+) ([0-9]{1,20})$/gm)].map(([, name = '', value]) => [name, Number(value)]));
}

/** A file with one number, or `max`: null. */
export function oneNumber(text: string): number | null {
  return /^[0-9]{1,20}\n?$/.test(text) ? Number(text) : null;
}

/** io.stat: `<major>:<minor> rbytes=… wbytes=… rios=… wios=…`, summed over the devices. */
export function ioTotals(text: string): { readBytes: number; writtenBytes: number; reads: number; writes: number } {
  const sum = (name: string): number =>
    [...text.matchAll(new RegExp(`\\b${name}=([0-9]{1,20})\\b`, 'g'))].reduce((total, [, value]) => total + Number(value), 0);
  return { readBytes: sum('rbytes'), writtenBytes: sum('wbytes'), reads: sum('rios'), writes: sum('wios') };
}

/** cpu.pressure and the like: `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and the same for `full`. Null where there is no `some`. */
export function pressureOf(text: string): Pressure | null {
  const stall = (name: string): Pressure['some'] | null => {
    const match = new RegExp(`^${name} avg10=([0-9.]+) avg60=([0-9.]+) avg300=([0-9.]+) total=([0-9]+)$`, 'm').exec(text);
    if (match === null) return null;
    const [, avg10, avg60, avg300, totalUs] = match.map(Number);
    return { avg10: avg10 ?? 0, avg60: avg60 ?? 0, avg300: avg300 ?? 0, totalUs: totalUs ?? 0 };
  };
  const some = stall('some');
  return some === null ? null : { some, full: stall('full') };
}
