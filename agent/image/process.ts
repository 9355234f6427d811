/** What a spec leaves open of its process, taken from the image as docker does, else the defaults. Pure. */
import { Account } from '#shared/process.ts';
import type { SandboxUser } from '#shared/process.ts';
import type { SandboxSpec } from '#shared/sandbox.ts';
import type { ImageUse } from './layout.ts';
import type { Image } from './oci.ts';
import { refusal } from './refusal.ts';

/** A spec in which nothing is open. */
export type ResolvedSpec = SandboxSpec & { cwd: string; user: SandboxUser };

const root: SandboxUser = { uid: 0, gid: 0, groups: [] };

/** `NAME=value`, as the image has it; what is no such text is left out, as docker does. */
export function processOf({ config: { config } }: Image): Pick<ImageUse, 'env' | 'cwd' | 'user'> {
  const pairs = (config?.Env ?? []).flatMap((text): [string, string][] => {
    const at = text.indexOf('=');
    return at > 0 && !text.includes('\0') && text.slice(0, at) !== '__proto__' ? [[text.slice(0, at), text.slice(at + 1)]] : [];
  });
  return { env: Object.fromEntries(pairs), cwd: config?.WorkingDir || null, user: config?.User || null };
}

/** For every process; the command is the first one's. IMAGE_REFUSED for a user that is none. */
export function resolveProcess(spec: SandboxSpec, image: Pick<ImageUse, 'env' | 'cwd' | 'user'> | null): ResolvedSpec {
  return {
    ...spec,
    env: { ...image?.env, ...spec.env },
    cwd: spec.cwd ?? absolute(image?.cwd ?? '/'),
    user: spec.user ?? (typeof image?.user === 'string' ? userOf(image.user) : root),
  };
}

/** ENTRYPOINT and CMD: a command of the spec's takes the place of CMD, an entrypoint of its own that of both. */
export function commandOf(spec: SandboxSpec, image: Image | null, name: string): string[] {
  const own = spec.root.type === 'oci' ? spec.root.entrypoint : undefined;
  const { Entrypoint, Cmd } = image?.config.config ?? {};
  const rest = spec.command.length > 0 || own !== undefined ? spec.command : (Cmd ?? []);
  const command = [...(own ?? Entrypoint ?? []), ...rest];
  if (command.length === 0 || command[0] === '') throw refusal(name, 'choose', 'neither the image nor the spec names a command');
  if (command.some((word) => word.includes('\0'))) throw refusal(name, 'choose', 'its command holds a NUL');
  return command;
}

function absolute(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}

/** `user`, `uid`, `user:group`, `uid:gid`, and mixtures. */
function userOf(text: string): SandboxUser {
  const [user = '', group, ...more] = text.split(':');
  const parse = (word: string) => Account.safeParse(/^[0-9]+$/.test(word) ? Number(word) : word);
  const [uid, gid] = [parse(user), group === undefined || group === '' ? null : parse(group)];
  if (!uid.success || more.length > 0 || (gid !== null && !gid.success))
    throw refusal('image', 'choose', `its user ${JSON.stringify(text.slice(0, 80))} is none`);
  return { uid: uid.data, ...(gid === null ? {} : { gid: gid.data }), groups: [] };
}
