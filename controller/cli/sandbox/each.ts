/** Commands that take several sandboxes do all that they can: a failure is told, the others go on, the exit code is the first failure's. */
import type { Sandbox } from '#shared/resources.ts';
import { tellFailure } from '../failure.ts';
import { printable } from '#shared/escape.ts';
import { printJson } from '../output/json.ts';
import type { Session } from '../session.ts';

/** Does `act` for each name, all at once; prints the names that it was done for, in their order, as docker does. */
export async function forEachSandbox(session: Session, names: readonly string[], act: (name: string) => Promise<Sandbox>): Promise<number> {
  const unique = [...new Set(names)];
  const results = await Promise.allSettled(unique.map(act));
  const done: Sandbox[] = [];
  let exitCode = 0;
  for (const [index, result] of results.entries()) {
    if (result.status === 'rejected') {
      const code = tellFailure(result.reason, session.stderr, session.json);
      if (exitCode === 0) exitCode = code;
    } else {
      done.push(result.value);
      if (!session.json) session.stdout.write(`${printable(unique[index] ?? '')}\n`);
    }
  }
  if (session.json) printJson(session, { sandboxes: done });
  return exitCode;
}
