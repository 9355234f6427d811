/** Option values as people type them. Each throws USAGE, with the option's name and what would be right. */
import type { Environment } from '#shared/config.ts';
import { parseCapability } from '#shared/capability.ts';
import type { Capability } from '#shared/capability.ts';
import { NsfleetError } from '#shared/errors.ts';
import { Account, RlimitName, idInsideMax, rlimitNames } from '#shared/process.ts';
import type { RlimitValue, Rlimits, SandboxUser } from '#shared/process.ts';
import { SandboxSeccomp, seccompProfiles } from '#shared/seccomp.ts';
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

/** A moment as RFC 3339 (UTC where it names no zone), or `+2h` from now. */
export function deadlineOption(option: string, text: string, nowMs = Date.now()): string {
  if (text.startsWith('+')) return new Date(nowMs + durationMs(option, text.slice(1))).toISOString();
  const match = /^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?))?(Z|[+-][0-9]{2}:[0-9]{2})?$/.exec(text);
  const ms = match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2] ?? '00:00'}${match[3] ?? 'Z'}`);
  if (Number.isNaN(ms)) throw wrong(option, text.slice(0, 80), 'a moment: 2026-11-24T10:00 (UTC unless it ends in a zone), or +2h');
  return new Date(ms).toISOString();
}

/** `TERM`, `sigterm` or `15`. */
export function signalOption(option: string, text: string): SignalName {
  const name = parseSignalName(text);
  if (name === null) throw wrong(option, text, 'a signal of signal(7): TERM, SIGINT, 15 …');
  return name;
}

/** TCP ports; `none` is no port at all. */
export function portOptions(option: string, texts: readonly string[]): number[] {
  return texts
    .filter((text) => text !== 'none')
    .map((text) => {
      if (!/^[0-9]{1,5}$/.test(text) || Number(text) > 65_535) throw wrong(option, text, 'a TCP port from 0 to 65535, or none');
      return Number(text);
    });
}

/** One of the profiles that there are; the host has the last word. */
export function seccompOption(option: string, text: string): SandboxSeccomp {
  const parsed = SandboxSeccomp.safeParse({ profile: text });
  if (!parsed.success) throw wrong(option, text, `one of ${seccompProfiles.join(', ')}`);
  return parsed.data;
}

/** `user[:group]` and further groups, each a name or an id: digits are an id, whatever a passwd in the root calls so. */
export function userOption(option: string, text: string | undefined, groups: readonly string[]): SandboxUser | undefined {
  if (text === undefined && groups.length === 0) return undefined;
  const [user = '', group, ...more] = (text ?? '0:0').split(':');
  if (more.length > 0) throw wrong(option, text ?? '', 'user or user:group');
  return {
    uid: account(option, user),
    ...(group === undefined ? {} : { gid: account(option, group) }),
    groups: groups.map((one) => account('--group-add', one)),
  };
}

function account(option: string, text: string): Account {
  const parsed = Account.safeParse(/^[0-9]+$/.test(text) ? Number(text) : text);
  if (!parsed.success)
    throw wrong(option, text.slice(0, 80), `a name of the root’s own passwd or group file, or an id from 0 to ${idInsideMax}`);
  return parsed.data;
}

/** `nofile=1024:4096`, `core=unlimited`: docker’s --ulimit. */
export function rlimitOptions(option: string, texts: readonly string[]): Rlimits {
  return Object.fromEntries(
    texts.map((text) => {
      const match = /^([a-z]+)=([0-9]{1,16}|-1|unlimited)(?::([0-9]{1,16}|-1|unlimited))?$/.exec(text);
      const name = RlimitName.safeParse(match?.[1]);
      if (match === null || !name.success) throw wrong(option, text.slice(0, 80), `NAME=SOFT[:HARD] with one of ${rlimitNames.join(', ')}`);
      const soft = limitOf(match[2] ?? '');
      return [name.data, { soft, hard: match[3] === undefined ? soft : limitOf(match[3]) }];
    }),
  );
}

function limitOf(text: string): RlimitValue {
  return text === 'unlimited' || text === '-1' ? 'unlimited' : Number(text);
}

/** `net_raw` or `CAP_NET_RAW`. */
export function capabilityOptions(option: string, texts: readonly string[]): Capability[] {
  return texts.map((text) => {
    const name = parseCapability(text);
    if (name === null) throw wrong(option, text.slice(0, 80), 'a capability of capabilities(7): NET_BIND_SERVICE, CAP_NET_RAW …');
    return name;
  });
}

/** A whole number, perhaps negative. */
export function integerOption(option: string, text: string): number {
  if (!/^-?[0-9]{1,9}$/.test(text)) throw wrong(option, text.slice(0, 80), 'a whole number');
  return Number(text);
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
