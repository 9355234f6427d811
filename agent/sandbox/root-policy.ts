/**
 * Which directories of this host may become a sandbox's root. It is decided here, whatever a controller asks: files of root show inside as
 * root's own, so a root that holds the host's /etc/shadow or the agent's credentials would hand them to whoever may create a sandbox.
 */
import { lstatSync, realpathSync } from 'node:fs';
import { NsfleetError, errorText } from '#shared/errors.ts';
import type { SandboxSpec } from '#shared/sandbox.ts';

export type RootPolicy = {
  /** NSFLEET_AGENT_ROOTS: a root must be one of these or lie below one; null: anywhere that is not refused below. */
  allowed: readonly string[] | null;
  /** What holds this agent's, and its stack's, keys and state. */
  privateDirectories: readonly string[];
};

/** The host's own parts, which a root file system has of its own: a root that *is* the host, or a kernel's view of it, is none. */
const hostDirectories = ['/boot', '/dev', '/etc', '/proc', '/root', '/run', '/sys', '/usr', '/var'];
/** Nothing below these is a root file system either; below the others there may be one (/var/lib/machines, /root/debian). */
const hostTrees = ['/boot', '/dev', '/etc', '/proc', '/sys', '/run'];

/**
 * The spec with its root's real path, so that what was judged here is what the shim opens. ROOT_REFUSED: a symbolic link, no directory, outside
 * of what is allowed, or a directory that is, contains or lies in what the host keeps to itself.
 */
export function checkRoot(spec: SandboxSpec, policy: RootPolicy): SandboxSpec {
  if (spec.root.type !== 'directory') return spec;
  const asked = spec.root.path;
  const refuse = (reason: string, cause?: unknown) =>
    new NsfleetError('ROOT_REFUSED', { attempted: 'use as a root', target: asked, reason, cause });
  let path: string;
  try {
    const about = lstatSync(asked);
    if (!about.isDirectory()) throw refuse(about.isSymbolicLink() ? 'it is a symbolic link' : 'it is no directory');
    path = realpathSync(asked);
  } catch (error) {
    throw error instanceof NsfleetError ? error : refuse(errorText(error), error);
  }
  if (policy.allowed !== null && !policy.allowed.some((allowed) => isWithin(path, allowed))) {
    throw refuse(`this host takes roots only from ${policy.allowed.join(', ')} (NSFLEET_AGENT_ROOTS)`);
  }
  const kept = [...policy.privateDirectories, ...hostDirectories].find((directory) => isWithin(directory, path));
  if (kept !== undefined) throw refuse(`it holds ${kept} of the host itself`);
  const tree = [...policy.privateDirectories, ...hostTrees].find((directory) => isWithin(path, directory));
  if (tree !== undefined) throw refuse(`it lies in ${tree}, which the host keeps to itself`);
  return { ...spec, root: { ...spec.root, path } };
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === '/' ? '/' : `${directory}/`);
}
