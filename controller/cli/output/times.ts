/** Times for people: relative in tables, absolute and relative where one thing is shown. */

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

// The limits are docker's (go-units HumanDuration): two of the smaller unit before the larger one is used.
const steps: readonly { below: number; text: (ms: number) => string }[] = [
  { below: 1000, text: () => 'less than a second' },
  { below: 2000, text: () => '1 second' },
  { below: minuteMs, text: (ms) => `${Math.floor(ms / 1000)} seconds` },
  { below: 2 * minuteMs, text: () => 'about a minute' },
  { below: hourMs, text: (ms) => `${Math.floor(ms / minuteMs)} minutes` },
  { below: 2 * hourMs, text: () => 'about an hour' },
  { below: 2 * dayMs, text: (ms) => `${Math.floor(ms / hourMs)} hours` },
  { below: 14 * dayMs, text: (ms) => `${Math.floor(ms / dayMs)} days` },
  { below: 60 * dayMs, text: (ms) => `${Math.floor(ms / (7 * dayMs))} weeks` },
  { below: 730 * dayMs, text: (ms) => `${Math.floor(ms / (30 * dayMs))} months` },
];

/** `3 minutes`, `about an hour`: as docker words it, in lower case since it stands inside of sentences. */
export function durationText(ms: number): string {
  const step = steps.find(({ below }) => ms < below);
  return step === undefined ? `${Math.floor(ms / (365 * dayMs))} years` : step.text(ms);
}

/** `3 minutes ago`; `in 3 minutes` where the other machine's clock is ahead by more than a second. Empty for null. */
export function ago(time: string | null, now: Date): string {
  if (time === null) return '';
  const ms = now.getTime() - Date.parse(time);
  return ms <= -1000 ? `in ${durationText(-ms)}` : `${durationText(Math.max(0, ms))} ago`;
}

/** `2026-11-23T18:02:14Z (3 minutes ago)`. Empty for null. */
export function absoluteAndAgo(time: string | null, now: Date): string {
  return time === null ? '' : `${time} (${ago(time, now)})`;
}

/** How long from one time to another, or until now; never negative. */
export function elapsedMs(from: string, to: string | null, now: Date): number {
  return Math.max(0, (to === null ? now.getTime() : Date.parse(to)) - Date.parse(from));
}
