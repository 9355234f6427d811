/** How much of each kind a host may say: a bucket of bytes each, that fills again. One that says more is refused before anything is read of it. */
export type RationLimits = { bytesPerSecond: number; burstBytes: number };
export type Rations = {
  /** `no more`: the bucket has just become empty; `none`: it was empty already. */
  take(whose: string, bytes: number): 'enough' | 'no more' | 'none';
};

/** A message costs something however short it is. */
const messageBytes = 512;
/** Beyond, that of whom has been silent for longest is forgotten, which fills it. */
const bucketsMax = 200_000;

type Bucket = { bytes: number; atMs: number; empty: boolean };

export function createRations({ bytesPerSecond, burstBytes }: RationLimits, now: () => number = () => performance.now()): Rations {
  const buckets = new Map<string, Bucket>();
  return {
    take(whose, bytes) {
      const atMs = now();
      const old = buckets.get(whose) ?? { bytes: burstBytes, atMs, empty: false };
      const there = Math.min(burstBytes, old.bytes + ((atMs - old.atMs) / 1000) * bytesPerSecond);
      const left = there - bytes - messageBytes;
      buckets.delete(whose);
      buckets.set(whose, { bytes: left < 0 ? there : left, atMs, empty: left < 0 });
      if (buckets.size > bucketsMax) buckets.delete(buckets.keys().next().value ?? '');
      if (left >= 0) return 'enough';
      return old.empty ? 'none' : 'no more';
    },
  };
}
