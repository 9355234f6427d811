/** A plan in the shim's wire form, which native/plan.h describes. Pure. */
import { capabilityMask } from '#shared/capability.ts';
import { NsfleetError } from '#shared/errors.ts';
import type { NamespaceType } from '#shared/namespace.ts';
import { lifetimeLimits, planLimits } from '#shared/plan.ts';
import type { Plan, PlanIdMap, PlanOperation, PlanOperationName } from '#shared/plan.ts';
import { rlimitNumbers } from '#shared/process.ts';
import type { RlimitValue } from '#shared/process.ts';

const planMagic = 0x50_46_53_4e;
const noId = 0xffff_ffff;
/** PLAN_AS_IT_IS */
const asItIs = 0xffff_ffff_ffff_fffen;

/** clone(2)'s flags. */
const cloneFlags: Record<NamespaceType, number> = {
  time: 0x80,
  mnt: 0x2_0000,
  cgroup: 0x200_0000,
  uts: 0x400_0000,
  ipc: 0x800_0000,
  user: 0x1000_0000,
  pid: 0x2000_0000,
  net: 0x4000_0000,
};

/** enum plan_op_type */
const opNumbers: Record<PlanOperationName, number> = {
  tree: 1,
  overlay: 2,
  state_mkdir: 3,
  propagation: 4,
  root: 5,
  tmpfs: 6,
  attach: 7,
  proc: 8,
  devpts: 9,
  mqueue: 10,
  mkdir: 11,
  symlink: 12,
  file: 13,
  mask: 14,
  readonly: 15,
  pivot_root: 16,
  remount_readonly: 17,
  hostname: 18,
  domainname: 19,
  loopback_up: 20,
  unshare: 21,
  sysctl: 22,
  dumpable: 23,
  no_new_privs: 24,
  drop_capabilities: 25,
  session_keyring: 26,
  rlimit: 27,
  umask: 28,
  seccomp: 29,
  lower: 30,
  sysfs: 31,
  raise_rlimit: 32,
  nice: 33,
  oom_score_adj: 34,
  user: 35,
  group: 36,
  time_offsets: 37,
  landlock: 38,
  landlock_path: 39,
  landlock_port: 40,
  landlock_restrict: 41,
  lifetime: 42,
  seccomp_log: 43,
};

/** enum plan_flag */
const flagBits = {
  readonly: 1 << 0,
  nosuid: 1 << 1,
  nodev: 1 << 2,
  noexec: 1 << 3,
  recursive: 1 << 4,
  followSymlinks: 1 << 5,
  optional: 1 << 6,
  device: 1 << 7,
  mapOwners: 1 << 8,
  userxattr: 1 << 9,
  createFile: 1 << 10,
  createDirectory: 1 << 11,
  plain: 1 << 12,
  slave: 1 << 13,
  replace: 1 << 14,
  paths: 1 << 15,
  bind: 1 << 16,
  connect: 1 << 17,
  abstractSockets: 1 << 18,
  signals: 1 << 19,
} as const;
type Flags = Partial<Record<keyof typeof flagBits, boolean>>;

/** What every operation may carry; what it does not name is absent. */
type Fields = {
  flags?: Flags;
  slot?: number;
  mode?: number;
  uid?: number | null;
  gid?: number | null;
  a?: number | bigint;
  b?: number | bigint;
  /** Bytes only where plan.h's shape says so. */
  strings?: (string | Uint8Array)[];
};

/** procfs, devpts and mqueue hold nothing that may be executed or opened as a device. */
const kernelFilesystem: Flags = { nosuid: true, nodev: true, noexec: true };

/** RLIM_INFINITY */
function limit(value: RlimitValue): number | bigint {
  return value === 'unlimited' ? 0xffff_ffff_ffff_ffffn : value;
}

function fieldsOf(operation: PlanOperation): Fields {
  switch (operation.op) {
    case 'tree': {
      const { device, path, slot, op: _op, side: _side, ...flags } = operation;
      return { slot, strings: [path], flags: { ...flags, device: device !== null }, a: device?.major ?? 0, b: device?.minor ?? 0 };
    }
    case 'lower':
      return { strings: [operation.path] };
    case 'overlay': {
      const { slot, upper, work, memory, mapOwners, userxattr } = operation;
      const base = { slot, mode: 0o755, strings: [upper, work], flags: { mapOwners, userxattr } };
      return memory === null ? base : { ...base, a: memory.sizeBytes, b: memory.inodes, uid: memory.uid, gid: memory.gid };
    }
    case 'state_mkdir':
      return { strings: [operation.name], mode: operation.mode, uid: operation.uid, gid: operation.gid };
    case 'root': {
      const flags = { nosuid: true, nodev: true };
      if (operation.source.type === 'slot') return { slot: operation.source.slot, flags };
      return { flags, mode: 0o755, a: operation.source.sizeBytes, b: operation.source.inodes };
    }
    case 'tmpfs': {
      const { target, mode, sizeBytes, inodes, op: _op, side: _side, ...flags } = operation;
      return { strings: [target], mode, a: sizeBytes, b: inodes, flags };
    }
    case 'attach': {
      const { slot, target, create, optional, followSymlinks } = operation;
      return {
        slot,
        strings: [target],
        flags: { optional, followSymlinks, createFile: create === 'file', createDirectory: create === 'directory' },
      };
    }
    case 'proc':
    case 'mqueue':
      return { strings: [operation.target], flags: kernelFilesystem };
    case 'sysfs':
      return { strings: [operation.target], flags: { ...kernelFilesystem, readonly: true, optional: operation.optional } };
    case 'devpts':
      return { strings: [operation.target], gid: operation.gid, flags: { nosuid: true, noexec: true } };
    case 'mkdir':
      return { strings: [operation.path], mode: operation.mode, flags: { followSymlinks: operation.followSymlinks } };
    case 'symlink':
      return { strings: [operation.path, operation.to] };
    case 'file': {
      const { path, content, mode, replace, followSymlinks } = operation;
      return { strings: [path, content], mode, flags: { replace, followSymlinks } };
    }
    case 'mask':
      return { strings: [operation.target], slot: operation.slot };
    case 'readonly':
      return { strings: [operation.target], flags: kernelFilesystem };
    case 'remount_readonly':
      return { strings: [operation.target] };
    case 'hostname':
    case 'domainname':
      return { strings: [operation.name] };
    case 'unshare':
      return { a: cloneFlags[operation.namespace] };
    case 'sysctl':
      return { strings: [operation.name, operation.value] };
    case 'dumpable':
      return { a: operation.value ? 1 : 0 };
    case 'rlimit':
      return {
        mode: rlimitNumbers[operation.resource],
        a: limit(operation.soft),
        b: operation.hard === null ? asItIs : limit(operation.hard),
        flags: { optional: operation.clamp },
      };
    case 'raise_rlimit':
      return { mode: rlimitNumbers[operation.resource], b: limit(operation.hard) };
    case 'nice':
    case 'oom_score_adj':
      return { a: operation.value };
    case 'user':
      return { strings: [operation.name ?? '', operation.group ?? ''] };
    case 'group':
      return { gid: operation.gid, strings: [operation.name ?? ''] };
    case 'drop_capabilities':
      return { a: capabilityMask(operation.keep) };
    case 'seccomp':
    case 'seccomp_log':
      return { strings: [operation.profile, Buffer.from(operation.program, 'base64')] };
    case 'lifetime':
      return { mode: lifetimeLimits.indexOf(operation.limit), uid: operation.signal, a: operation.ms, b: operation.graceMs };
    case 'umask':
      return { mode: operation.mask };
    case 'time_offsets':
      return { strings: [offsetLine('monotonic', operation.monotonicMs) + offsetLine('boottime', operation.boottimeMs)] };
    case 'landlock': {
      const { paths, bind, connect, abstractSockets, signals, optional } = operation;
      return { flags: { paths, bind, connect, abstractSockets, signals, optional } };
    }
    case 'landlock_path':
      return { strings: [operation.path], flags: { readonly: operation.readonly, optional: operation.optional } };
    case 'landlock_port':
      return { a: operation.port, flags: { bind: operation.bind, connect: operation.connect } };
    case 'landlock_restrict':
    case 'propagation':
    case 'pivot_root':
    case 'loopback_up':
    case 'no_new_privs':
    case 'session_keyring':
      return {};
  }
}

/** As /proc/<pid>/timens_offsets takes it; nanoseconds are never negative there. */
function offsetLine(clock: string, ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return `${clock} ${seconds} ${(ms - seconds * 1000) * 1_000_000}\n`;
}

/** Of one UTF-16 unit. */
const utf8BytesMax = 3;

function viewOf({ buffer, byteOffset, byteLength }: Buffer): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/** Grows as it is written to. */
class Wire {
  #bytes = Buffer.alloc(16_384);
  #view = viewOf(this.#bytes);
  #length = 0;

  #reserve(size: number): number {
    const at = this.#length;
    this.#length += size;
    if (this.#length > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(this.#length, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = viewOf(grown);
    }
    return at;
  }

  u8(value: number): void {
    const at = this.#reserve(1);
    this.#view.setUint8(at, value);
  }

  u16(value: number): void {
    const at = this.#reserve(2);
    this.#view.setUint16(at, value, true);
  }

  u32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value, true);
  }

  u64(value: number | bigint): void {
    const at = this.#reserve(8);
    if (typeof value === 'bigint') this.#view.setBigUint64(at, value, true);
    else {
      this.#view.setUint32(at, value >>> 0, true);
      this.#view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
    }
  }

  string(value: string): void {
    if (value.includes('\0')) throw new RangeError('a string of a plan holds a NUL byte');
    const at = this.#reserve(4 + utf8BytesMax * value.length + 1);
    const length = this.#bytes.write(value, at + 4, 'utf8');
    this.#view.setUint32(at, length, true);
    this.#bytes[at + 4 + length] = 0;
    this.#length = at + 4 + length + 1;
  }

  bytes(value: Uint8Array): void {
    this.u32(value.length);
    const at = this.#reserve(value.length + 1);
    this.#bytes.set(value, at);
    this.#bytes[at + value.length] = 0;
  }

  /** All that was written, its length put at offset 8. */
  finish(): Uint8Array {
    this.#view.setUint32(8, this.#length, true);
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset, this.#length);
  }
}

/**
 * The bytes that the shim reads from its plan descriptor.
 *
 * @throws RangeError where a string holds NUL, which no parsed spec has; COMMAND_TOO_LONG where the plan exceeds the shim's 1 MiB (mostly argv
 * and env).
 */
export function encodePlan(plan: Plan): Uint8Array {
  const wire = new Wire();
  const env = Object.entries(plan.exec.env);
  wire.u32(planMagic);
  wire.u32(plan.version);
  wire.u32(0); // the length, set at the end
  wire.u8(plan.kind === 'run' ? 1 : 2);
  wire.u8(plan.setgroupsDeny ? 1 : 0);
  wire.u16(0);
  wire.u32(plan.namespaces.reduce((flags, type) => flags | cloneFlags[type], 0) >>> 0);
  wire.u64(plan.log.maxBytes);
  wire.u32(plan.exec.uid ?? noId);
  wire.u32(plan.exec.gid ?? noId);
  for (const count of [plan.idMaps.uid, plan.idMaps.gid, plan.operations, plan.exec.argv, env, plan.joins]) wire.u16(count.length);
  for (const map of [...plan.idMaps.uid, ...plan.idMaps.gid]) encodeMap(wire, map);
  for (const { type, id, inode } of plan.joins) {
    wire.u32(cloneFlags[type]);
    wire.u32(0);
    wire.u64(BigInt(id ?? 0));
    wire.u64(inode);
  }
  for (const operation of plan.operations) encodeOperation(wire, operation);
  for (const word of plan.exec.argv) wire.string(word);
  for (const [name, value] of env) wire.string(`${name}=${value}`);
  wire.string(plan.exec.cwd);
  const bytes = wire.finish();
  if (bytes.length > planLimits.sizeBytes) {
    throw new NsfleetError('COMMAND_TOO_LONG', {
      attempted: 'run',
      target: (plan.exec.argv[0] ?? '').slice(0, 80),
      reason: `the plan has ${bytes.length} bytes; the limit is ${planLimits.sizeBytes}`,
    });
  }
  return bytes;
}

function encodeMap(wire: Wire, { inside, outside, count }: PlanIdMap): void {
  wire.u32(inside);
  wire.u32(outside);
  wire.u32(count);
}

function encodeOperation(wire: Wire, operation: PlanOperation): void {
  const { flags = {}, slot = -1, mode = 0, uid, gid, a = 0, b = 0, strings = [] } = fieldsOf(operation);
  let bits = 0;
  for (const name in flags) if (flags[name as keyof Flags] === true) bits |= flagBits[name as keyof Flags];
  wire.u16(opNumbers[operation.op]);
  wire.u8(operation.side === 'host' ? 1 : 2);
  wire.u8(strings.length);
  wire.u32(bits);
  wire.u32(slot >>> 0);
  wire.u32(mode);
  wire.u32(uid ?? noId);
  wire.u32(gid ?? noId);
  wire.u64(a);
  wire.u64(b);
  for (const value of strings) {
    if (typeof value === 'string') wire.string(value);
    else wire.bytes(value);
  }
}
