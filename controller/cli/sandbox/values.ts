/** Option values as people type them. Each throws USAGE, with the option's name and what would be right. */
import type { Environment } from '#shared/config.ts';
import { NsfleetError } from '#shared/errors.ts';
import { parseSignalName } from '#shared/signal.ts';
import type { SignalName } from '#shared/signal.ts';

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, '': 1000 };

/** `10s`, `500ms`, `2m`, `1h`; a bare number is seconds, as in `docker stop --time`. */
export function durationMs(option: string, text: string): number {
  const match = /^([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|)$/.exec(text.trim());
  const unit = unitsMs[match?.[2] ?? '?'];
  if (match === null || unit === undefined) throw wrong(option, text, 'a duration: 10s, 500ms, 2m, or seconds');
  return Math.round(Number(match[1]) * unit);
}

/** `TERM`, `sigterm` or `15`. */
export function signalOption(option: string, text: string): SignalName {
  const name = parseSignalName(text);
  if (name === null) throw wrong(option, text, 'a signal of signal(7): TERM, SIGINT, 15 …');
  return name;
}

/** The largest id inside, as the contract has it: 65,535 is -1 to 16-bit calls. */
const idMax = 65_534;

/** `uid[:gid]`; the gid is the uid where it is not given. Names are not known outside of the sandbox's root. */
export function userIds(option: string, text: string): { uid: number; gid: number } {
  const match = /^([0-9]+)(?::([0-9]+))?$/.exec(text);
  if (match === null) throw wrong(option, text, 'uid or uid:gid in numbers');
  const uid = Number(match[1]);
  const gid = match[2] === undefined ? uid : Number(match[2]);
  if (Math.max(uid, gid) > idMax) throw wrong(option, text, `ids from 0 to ${idMax}`);
  return { uid, gid };
}

/** `NAME=value` … as a record; `NAME` alone takes the value from `env`, so that a secret need not stand in an argv. */
export function environmentOptions(option: string, texts: readonly string[], env: Environment): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const { key, value } = keyValue(text);
      const found = value ?? env[key];
      if (key === '') throw wrong(option, text, 'NAME=value');
      if (found === undefined) throw wrong(option, text, 'NAME=value, or the name of a variable that is set here');
      return [key, found];
    }),
  );
}

/** `key=value` … as a record; `key` alone has an empty value. */
export function labelOptions(option: string, texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const { key, value } = keyValue(text);
      if (key === '') throw wrong(option, text, 'key=value');
      return [key, value ?? ''];
    }),
  );
}

function keyValue(text: string): { key: string; value: string | null } {
  const at = text.indexOf('=');
  return at === -1 ? { key: text, value: null } : { key: text.slice(0, at), value: text.slice(at + 1) };
}

/** USAGE. */
export function wrong(option: string, text: string, right: string): NsfleetError {
  return new NsfleetError('USAGE', { attempted: 'understand', target: `${option} ${text}`, reason: `it takes ${right}` });
}
