/** What counts as a leak: thresholds and allow-lists, each with its default. A file of JSON may change them: NSFLEET_LEAK_RULES. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { NsfleetError, errorText, issuesText } from '#shared/errors.ts';

const Minutes = z.number().min(0).max(525_600);
const Patterns = z.array(z.string().min(1).max(256)).max(1000);
const Uid = z
  .int()
  .min(0)
  .max(2 ** 32 - 1);

export const LeakSettings = z.strictObject({
  'net-without-process': z
    .strictObject({
      enabled: z.boolean().default(true),
      minutes: Minutes.default(10).describe('longer without a process'),
      keptPaths: Patterns.default(['/run/netns/*', '/var/run/netns/*']).describe(
        'mounted there on purpose: `ip netns`, `nsfleet ns create`',
      ),
      enginePaths: Patterns.default(['*/netns/cni-*', '*/netns/netns-*', '*/docker/netns/*']).describe(
        'mounted there by an engine for a container: a leak when no process is left, also below keptPaths',
      ),
      keepers: Patterns.default([
        'nsfleet-*',
        'systemd*',
        '(sd-*',
        'dockerd',
        'containerd*',
        'conmon*',
        'crio',
        'podman',
        'lxc*',
        'NetworkManager',
      ]).describe('comms of processes that hold network namespaces open on purpose; believed of those only that `keeperCgroups` names'),
      keeperCgroups: Patterns.default([
        '/system.slice/*',
        '/init.scope',
        '/machine.slice/libpod-conmon-*.scope',
        '/kubepods.slice/*/crio-conmon-*.scope',
        '/lxc.monitor*',
        '/',
      ]).describe('cgroups of such processes, where only the host’s root puts any; `/` is all there is without systemd'),
    })
    .prefault({}),
  'sandbox-gone': z
    .strictObject({ enabled: z.boolean().default(true), minutes: Minutes.default(1).describe('after the end of the sandbox') })
    .prefault({}),
  'user-growth': z
    .strictObject({
      enabled: z.boolean().default(true),
      minutes: Minutes.default(60).describe('the time that is looked back'),
      more: z.int().min(1).max(1_000_000).default(100).describe('more user namespaces than then'),
      factor: z.number().min(1).max(1000).default(1.5).describe('and so many times as many'),
    })
    .prefault({}),
  'host-net-foreign-mnt': z
    .strictObject({
      enabled: z.boolean().default(true),
      comms: Patterns.default(['nsfleet-*', '(sd-*', 'systemd-*', 'kdevtmpfs']).describe(
        'comms of processes that may, where root of the host made the namespace; kdevtmpfs is the kernel’s own',
      ),
      units: Patterns.default(['*.service', '*.socket']).describe(
        'systemd units that may, where root of the host made the namespace: PrivateTmp= and its kin do so',
      ),
    })
    .prefault({}),
  'unexpected-owner': z
    .strictObject({
      enabled: z.boolean().default(true),
      expected: z
        .array(z.tuple([Uid, Uid]))
        .max(1000)
        .default([
          [0, 0],
          [1000, 59_999],
          [100_000, 4_294_967_294],
        ])
        .describe('ranges of uids that may own a user namespace: root, people, ids of containers; daemons and nobody may not'),
    })
    .prefault({}),
});
export type LeakSettings = z.infer<typeof LeakSettings>;

export const defaultLeakSettings: LeakSettings = LeakSettings.parse({});

/** CONFIG_INVALID where the file cannot be read or says what is not offered. */
export function readLeakSettings(path: string): LeakSettings {
  const invalid = (reason: string, cause?: unknown) =>
    new NsfleetError('CONFIG_INVALID', { attempted: 'read the leak rules in', target: path, reason, cause });
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw invalid(errorText(error), error);
  }
  const parsed = LeakSettings.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalid(issuesText(parsed.error.issues));
}

/** `*` is any text, everything else itself: linear in the text, however often the star stands. */
export function matches(patterns: readonly string[], text: string): boolean {
  return patterns.some((pattern) => matchesOne(pattern.split('*'), text));
}

function matchesOne(parts: readonly string[], text: string): boolean {
  const [first = '', ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
  let at = first.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return at <= text.length - last.length;
}
