/** The table of exit codes, made from the catalogue of errors. */
import { errorCatalogue, exitCodes } from '#shared/errors.ts';
import { printJson } from './output/json.ts';
import type { Session } from './session.ts';

const meanings: Record<keyof typeof exitCodes, string> = {
  ok: 'done; for `status`: all is well; for `ns diff`: no differences',
  failed: 'failed; for `status`: there are problems; for `ns diff`: there are differences',
  usage: 'asked wrongly: arguments, input or settings',
  notFound: 'there is no such host, namespace or sandbox',
  conflict: 'in conflict with what is: a name taken, a wrong state, an ambiguous name',
  unreachable: 'no controller, host or database answers, or not in time',
  denied: 'the token or credentials are missing or wrong',
  notPlaced: 'no host may or can take the sandbox',
  notStarted: 'run, exec: the host could not start the command',
  notExecutable: 'run, exec: the command cannot be executed',
  notInRoot: 'run, exec: the command does not exist in the sandbox’s root',
};

export type ExitCodeRow = { exitCode: number; meaning: string; errors: string[] };

/** Each exit code with its meaning and the error codes that lead to it. */
export function exitCodeRows(): ExitCodeRow[] {
  return Object.entries(meanings).map(([name, meaning]) => {
    const exitCode = exitCodes[name as keyof typeof exitCodes];
    const errors = Object.entries(errorCatalogue).flatMap(([code, entry]) => (entry.exit === exitCode ? [code] : []));
    return { exitCode, meaning, errors };
  });
}

/** Prints the table, with the two rules that are no rows of it. */
export function printExitCodes(session: Session): void {
  const rows = exitCodeRows();
  if (session.json) {
    printJson(session, { exitCodes: rows });
    return;
  }
  const lines = rows.flatMap(({ exitCode, meaning, errors }) => [
    `${String(exitCode).padStart(4)}  ${meaning}`,
    ...wrapWords(errors, 100).map((line) => `        ${line}`),
  ]);
  const rules = [
    '`sandbox run` in the foreground and `sandbox exec` exit with the command’s own code, or 128 + the number of the signal that ended it.',
    '141: the reader of standard output went away (as `nsfleet … | head` does).',
  ];
  session.stdout.write(`${[...lines, '', ...rules].join('\n')}\n`);
}

function wrapWords(words: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length + 1 > columns) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
