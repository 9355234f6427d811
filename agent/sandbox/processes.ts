/** Processes and namespaces of a sandbox, read back from the kernel with their identity. */
import type { Native } from '#native/binding.ts';
import { namespaceKey } from '#shared/namespace.ts';
import type { SandboxNamespace } from '#shared/sandbox.ts';
import type { ProcessIdentity } from './record.ts';

/** Of an inode on kernels without namespace ids; see inventory/generations.ts. */
export type GenerationOf = (inode: number) => number;

/** Null: there is no such process any more. */
export function identify(native: Native, pid: number): ProcessIdentity | null {
  try {
    return { pid, start: native.processStart(pid).toString() };
  } catch {
    return null;
  }
}

export function isAlive(native: Native, identity: ProcessIdentity | null): boolean {
  return identity !== null && identify(native, identity.pid)?.start === identity.start;
}

/** SIGKILL to exactly that process; false where it is no more. */
export function killExactly(native: Native, identity: ProcessIdentity | null): boolean {
  if (identity === null) return false;
  try {
    using process = native.openProcess(identity.pid, BigInt(identity.start));
    process.signal(9);
    return true;
  } catch {
    return false;
  }
}

/**
 * The namespaces that the sandbox really got. A plain user may not read init's, which never exec'd; the command's are the same.
 * Empty where it has ended already.
 */
export function readNamespaces(native: Native, pids: readonly number[], generationOf: GenerationOf): SandboxNamespace[] {
  for (const pid of pids) {
    try {
      const key = (inode: number, id: string | null): string => namespaceKey(inode, id, id === null ? generationOf(inode) : 0);
      return native.processNamespaces(pid).map(({ type, inode, id }) => ({ type, inode, key: key(inode, id) }));
    } catch {
      // the next one
    }
  }
  return [];
}
