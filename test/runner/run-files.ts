/** Runs test files, some at a time, and tells at the end what came of all of them. */
import type { Counts } from './frames.ts';
import { runFile } from './file-run.ts';
import type { FileLimits, FileResult } from './file-run.ts';
import { Turns } from './turns.ts';

export type RunOptions = FileLimits & {
  root: string;
  filesAtOnce: number;
  env: NodeJS.ProcessEnv;
  print: (text: string) => void;
  /** Aborted: what runs is ended, with all that it started, and nothing more begins. */
  stop: AbortSignal;
};

/** True when every file told its end, all of its results arrived, and none of them is a failure. */
export async function runFiles(files: readonly string[], options: RunOptions): Promise<boolean> {
  const startedAt = performance.now();
  const turns = new Turns(options.print);
  const results: FileResult[] = [];
  const left = files.values();
  const work = async () => {
    for (const file of left) {
      if (options.stop.aborted) return;
      const turn = turns.take();
      results.push(await runFile(file, options.root, options, options.env, (text) => turn.print(text), options.stop));
      turn.end();
    }
  };
  await Promise.all(Array.from({ length: options.filesAtOnce }, work));
  options.print(summary(results, files.length, performance.now() - startedAt));
  return results.length === files.length && results.every((result) => result.passed);
}

/** As Node's own, but failures of whole files come last, and have a number too. */
function summary(results: readonly FileResult[], planned: number, durationMs: number): string {
  const sum = (name: keyof Counts) => results.reduce((total, { counts }) => total + (counts?.[name] ?? 0), 0);
  const inOrder = results.toSorted((a, b) => (a.file < b.file ? -1 : 1));
  const lines = [
    `files ${planned}`,
    `tests ${sum('tests')}`,
    `suites ${sum('suites')}`,
    `pass ${sum('passed')}`,
    `fail ${sum('failed')}`,
    `cancelled ${sum('cancelled')}`,
    `skipped ${sum('skipped')}`,
    `todo ${sum('todo')}`,
    `failed files ${results.filter(({ passed }) => !passed).length}`,
    `duration_ms ${Math.round(durationMs)}`,
  ];
  const whole = inOrder.flatMap(({ file, complaints }) => complaints.map((complaint) => `✖ ${file} ${complaint}`));
  if (results.length < planned) whole.push(`✖ ${planned - results.length} of ${planned} files were not run`);
  return [
    ...lines.map((line) => `ℹ ${line}`),
    ...inOrder.flatMap(({ failures }) => (failures === '' ? [] : [failures.trimEnd()])),
    ...(whole.length === 0 ? [] : ['', ...whole]),
    '',
  ].join('\n');
}
