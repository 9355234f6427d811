/** Programs of the controller's side that a client may start and not import. */
import { fileURLToPath } from 'node:url';

/**
 * The program takes this process's place: the same pid, signals and standard streams, and nothing between it and a supervisor.
 * `file` is relative to controller/.
 */
export function becomeProgram(file: string, args: readonly string[]): never {
  const path = fileURLToPath(new URL(`../../${file}`, import.meta.url));
  process.execve?.(process.execPath, [process.execPath, path, ...args], process.env);
  throw new Error('execve returned');
}
