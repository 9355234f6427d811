/** Namespaces as people name them on a command line: `host`, `sandbox:web`, `pid:12`; docker's and podman's words are understood too. Pure. */
import { NsfleetError } from '#shared/errors.ts';
import { NamespaceChoice } from '#shared/sandbox-namespaces.ts';
import type { SandboxNamespaces } from '#shared/sandbox-namespaces.ts';
import type { IdMaps } from '#shared/sandbox.ts';
import type { NamespaceType } from '#shared/namespace.ts';
import { durationMs } from './values.ts';

export type NamespaceOptions = {
  network?: string;
  net?: string;
  pid?: string;
  ipc?: string;
  uts?: string;
  userns?: string;
  cgroupns?: string;
  mntns?: string;
  timens?: string;
};

/** Each option, the type that it is about, and how it is called. */
export const namespaceFlags = [
  { name: 'network', flag: '--network', type: 'net' },
  { name: 'net', flag: '--net', type: 'net' },
  { name: 'pid', flag: '--pid', type: 'pid' },
  { name: 'ipc', flag: '--ipc', type: 'ipc' },
  { name: 'uts', flag: '--uts', type: 'uts' },
  { name: 'userns', flag: '--userns', type: 'user' },
  { name: 'cgroupns', flag: '--cgroupns', type: 'cgroup' },
  { name: 'mntns', flag: '--mntns', type: 'mnt' },
  { name: 'timens', flag: '--timens', type: 'time' },
] as const satisfies readonly { name: keyof NamespaceOptions; flag: string; type: NamespaceType }[];

/** What was not named is left out. Throws USAGE. */
export function namespaceOptions(options: NamespaceOptions): SandboxNamespaces {
  const chosen: SandboxNamespaces = {};
  for (const { name, flag, type } of namespaceFlags) {
    const text = options[name];
    if (text === undefined) continue;
    if (chosen[type] !== undefined) throw wrong(flag, text, 'one of --network and --net, which are the same');
    chosen[type] = namespaceChoice(flag, text);
  }
  return chosen;
}

const right = 'new, host, sandbox:NAME, pid:N, path:FILE or id:N';

function namespaceChoice(flag: string, text: string): NamespaceChoice {
  if (text === 'new' || text === 'private' || text === 'none') return { from: 'new' };
  if (text === 'host') return { from: 'host' };
  const at = text.indexOf(':');
  const [word, value] = at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
  const parsed = NamespaceChoice.safeParse(
    word === 'sandbox' || word === 'container'
      ? { from: 'sandbox', name: value }
      : word === 'pid' && /^[0-9]+$/.test(value)
        ? { from: 'pid', pid: Number(value) }
        : word === 'path' || word === 'ns'
          ? { from: 'path', path: value }
          : { from: word, id: value },
  );
  if (parsed.success) return parsed.data;
  throw wrong(flag, text, right);
}

/** `0:100000:65536` … for `--uidmap` and `--gidmap`; one alone stands for both. Undefined where none was given. Throws USAGE. */
export function idMapOptions(uid: readonly string[] | undefined, gid: readonly string[] | undefined): IdMaps | undefined {
  const uids = uid?.map((text) => idMap('--uidmap', text));
  const gids = gid?.map((text) => idMap('--gidmap', text));
  if (uids === undefined && gids === undefined) return undefined;
  return { uid: uids ?? gids ?? [], gid: gids ?? uids ?? [] };
}

function idMap(flag: string, text: string): IdMaps['uid'][number] {
  const match = /^([0-9]{1,10}):([0-9]{1,10}):([0-9]{1,10})$/.exec(text);
  if (match === null) throw wrong(flag, text, 'INSIDE:OUTSIDE:COUNT in numbers, as podman does');
  return { inside: Number(match[1]), outside: Number(match[2]), count: Number(match[3]) };
}

/** `monotonic=24h`, `boottime=-10m`; may repeat. Undefined where none was given. Throws USAGE. */
export function timeOffsetOptions(texts: readonly string[] | undefined): { monotonicMs?: number; boottimeMs?: number } | undefined {
  if (texts === undefined) return undefined;
  const offsets: { monotonicMs?: number; boottimeMs?: number } = {};
  for (const text of texts) {
    const match = /^(monotonic|boottime)=(-?)(.+)$/.exec(text);
    if (match === null)
      throw wrong('--time-offset', text, 'monotonic=DURATION or boottime=DURATION, such as boottime=24h or monotonic=-10s');
    const ms = durationMs('--time-offset', match[3] ?? '') * (match[2] === '-' ? -1 : 1);
    offsets[match[1] === 'monotonic' ? 'monotonicMs' : 'boottimeMs'] = ms;
  }
  return offsets;
}

function wrong(flag: string, text: string, takes: string): NsfleetError {
  return new NsfleetError('USAGE', { attempted: 'understand', target: `${flag} ${text}`, reason: `it takes ${takes}` });
}
