/** What a sandbox may use of its host, in the words of cgroup v2 (Documentation/admin-guide/cgroup-v2.rst), and what it does use. */
import { z } from 'zod';

export const cgroupControllers = ['cpu', 'memory', 'pids', 'io'] as const;
export const CgroupController = z.enum(cgroupControllers);
export type CgroupController = z.infer<typeof CgroupController>;

/** Below a page nothing can run; above 2^50 no host has as much. */
const bytes = z.int().min(4096).max(1_125_899_906_842_624);
const rate = z.int().min(1).max(1_125_899_906_842_624);

export const IoLimit = z.strictObject({
  device: z.string().regex(/^[0-9]{1,10}:[0-9]{1,10}$/, 'major:minor of a whole disk'),
  readBytesPerSecond: rate.optional(),
  writeBytesPerSecond: rate.optional(),
  readsPerSecond: rate.optional(),
  writesPerSecond: rate.optional(),
});
export type IoLimit = z.infer<typeof IoLimit>;

export const Resources = z
  .strictObject({
    cpus: z.number().min(0.01).max(4096).optional().describe('cpu.max: processors’ worth of time in each 100 ms'),
    cpuWeight: z
      .int()
      .min(1)
      .max(10_000)
      .optional()
      .describe('cpu.weight: share against others where processors are short; 100 is everybody’s'),
    memoryBytes: bytes.optional().describe('memory.max: above it the kernel kills'),
    memoryHighBytes: bytes.optional().describe('memory.high: above it the kernel takes back, and slows down'),
    swapBytes: z.int().min(0).max(1_125_899_906_842_624).optional().describe('memory.swap.max; default with memoryBytes: 0'),
    pids: z.int().min(1).max(4_194_304).optional().describe('pids.max: processes and threads'),
    ioWeight: z.int().min(1).max(10_000).optional().describe('io.weight'),
    io: z
      .array(IoLimit)
      .max(16)
      .refine((limits) => new Set(limits.map(({ device }) => device)).size === limits.length, 'each device once')
      .optional()
      .describe('io.max'),
  })
  .refine(({ memoryBytes, memoryHighBytes }) => (memoryHighBytes ?? 0) <= (memoryBytes ?? Number.MAX_SAFE_INTEGER), {
    message: 'memoryHighBytes is above memoryBytes, so it could never take effect',
  })
  .describe('limits; what is not given is not limited');
export type Resources = z.infer<typeof Resources>;

/** A change of them: what is not named stays, null takes a limit away. */
export const ResourcesChange = z.strictObject(
  Object.fromEntries(Object.entries(Resources.shape).map(([name, schema]) => [name, schema.nullable()])) as {
    [K in keyof typeof Resources.shape]: z.ZodNullable<(typeof Resources.shape)[K]>;
  },
);
export type ResourcesChange = z.infer<typeof ResourcesChange>;

/** One write that sets a limit: the file of the cgroup, and its content. */
export const LimitWrite = z.object({ controller: CgroupController, file: z.string(), value: z.string() });
export type LimitWrite = z.infer<typeof LimitWrite>;

/** Share of the last seconds in which some, or all, of the sandbox’s processes waited, in percent (Documentation/accounting/psi.rst). */
const Stall = z.object({ avg10: z.number(), avg60: z.number(), avg300: z.number(), totalUs: z.int() });
export const Pressure = z.object({ some: Stall, full: Stall.nullable() });
export type Pressure = z.infer<typeof Pressure>;

const count = z.int().nonnegative();
/** null: the host has no such controller for sandboxes, or the kernel no such file. */
export const SandboxStats = z.object({
  at: z.iso.datetime(),
  cpu: z.object({ usageUs: count, userUs: count, systemUs: count, throttledUs: count.nullable(), throttledPeriods: count.nullable() }),
  memory: z
    .object({ bytes: count, peakBytes: count.nullable(), maxBytes: count.nullable(), swapBytes: count.nullable(), oomKills: count })
    .nullable(),
  pids: z.object({ current: count, max: count.nullable() }).nullable(),
  io: z.object({ readBytes: count, writtenBytes: count, reads: count, writes: count }).nullable(),
  pressure: z.object({ cpu: Pressure.nullable(), memory: Pressure.nullable(), io: Pressure.nullable() }),
});
export type SandboxStats = z.infer<typeof SandboxStats>;
