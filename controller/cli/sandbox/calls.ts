/** `nsfleet sandbox calls`. */
import { connect } from '../connection.ts';
import { printBlock } from '../output/block.ts';
import { printJson } from '../output/json.ts';
import type { Session } from '../session.ts';

const lineMaxChars = 100;

/** Prints what a sandbox with `--seccomp log` has called, and the strictest profile that it would do with. */
export async function printCalls(session: Session, name: string): Promise<number> {
  const report = await connect(session).client.call('sandboxCalls', { params: { sandbox: name } });
  if (session.json) printJson(session, report);
  else
    printBlock(session, [
      ['Calls', wrapped(report.calls)],
      ['Refused by strict', wrapped(report.refused.strict)],
      ['Refused by container', wrapped(report.refused.container)],
      ['Suggested', `--seccomp ${report.suggestion}`],
    ]);
  return 0;
}

function wrapped(words: readonly string[]): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length > lineMaxChars) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
