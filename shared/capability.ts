/** Capabilities by the names of capabilities(7); the place in the list is the kernel's number. */
import { z } from 'zod';

export const capabilityNames = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_LINUX_IMMUTABLE',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_BROADCAST',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_SYS_MODULE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE',
  'CAP_SYS_PACCT',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_NICE',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_MKNOD',
  'CAP_LEASE',
  'CAP_AUDIT_WRITE',
  'CAP_AUDIT_CONTROL',
  'CAP_SETFCAP',
  'CAP_MAC_OVERRIDE',
  'CAP_MAC_ADMIN',
  'CAP_SYSLOG',
  'CAP_WAKE_ALARM',
  'CAP_BLOCK_SUSPEND',
  'CAP_AUDIT_READ',
  'CAP_PERFMON',
  'CAP_BPF',
  'CAP_CHECKPOINT_RESTORE',
] as const;

export const Capability = z.enum(capabilityNames);
export type Capability = z.infer<typeof Capability>;

export function capabilityNumber(name: Capability): number {
  return capabilityNames.indexOf(name);
}

/** The bits of /proc/<pid>/status for these. RangeError for what is none: a bit that is left out would be a promise not kept. */
export function capabilityMask(names: readonly Capability[]): bigint {
  return names.reduce((mask, name) => {
    const number = capabilityNumber(name);
    if (number < 0) throw new RangeError(`${name} is no capability`);
    return mask | (1n << BigInt(number));
  }, 0n);
}

/** Names of the bits that are set; one that is newer than this list is called by its number: `CAP_41`. */
export function capabilitiesOf(mask: bigint): string[] {
  return Array.from({ length: 64 }, (_, bit) => bit)
    .filter((bit) => ((mask >> BigInt(bit)) & 1n) === 1n)
    .map((bit) => capabilityNames[bit] ?? `CAP_${bit}`);
}

/** `net_raw`, `CAP_NET_RAW`; null for what is none. */
export function parseCapability(text: string): Capability | null {
  const upper = text.toUpperCase();
  return Capability.safeParse(upper.startsWith('CAP_') ? upper : `CAP_${upper}`).data ?? null;
}
