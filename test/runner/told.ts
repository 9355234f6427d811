/** What one test file has told so far, and whether that is all of it. Pure. */
import type { Counts, Frame } from './frames.ts';

export type Told = {
  /** begun and not finished: name by id */
  running: Map<number, string>;
  /** results that arrived, of tests and suites */
  results: number;
  hooksFailed: number;
  failures: string;
  open: string[] | null;
  end: { counts: Counts; success: boolean } | null;
};

/** How its process ended. */
export type Ending = {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** why the suite killed it; null: it ended by itself */
  killed: string | null;
  /** somebody still had its output open when it was gone */
  outputHeld: boolean;
};

export const nothingTold = (): Told => ({ running: new Map(), results: 0, hooksFailed: 0, failures: '', open: null, end: null });

/** Takes a frame into `told`; the text that is to be printed. */
export function hear(told: Told, frame: Frame): string {
  switch (frame.type) {
    case 'begin':
      told.running.set(frame.id, frame.name);
      return '';
    case 'finish':
      told.running.delete(frame.id);
      return '';
    case 'result':
      if (frame.of === 'hook') told.hooksFailed += 1;
      else told.results += 1;
      return '';
    case 'text':
      return frame.text;
    case 'failures':
      told.failures += frame.text;
      return '';
    case 'open':
      told.open = frame.resources;
      return '';
    case 'end':
      told.end = { counts: frame.counts, success: frame.success };
      return '';
  }
}

/** What is wrong with a file as a whole, as sentences about it; its failed tests have told themselves. None and `end.success`: it passed. */
export function complaints(told: Told, ending: Ending): string[] {
  const how = ending.signal === null ? `exit code ${ending.code}` : ending.signal;
  const held = ending.outputHeld ? ['left a process behind that holds its output'] : [];
  if (ending.killed !== null) return [`${ending.killed}; ${arrived(told)}`];
  if (told.end === null) return [`ended (${how}) before its tests did: ${arrived(told)}, what would have followed is unknown`, ...held];
  const { counts, success } = told.end;
  const counted = counts.tests + counts.suites;
  const failedTests = counts.failed + counts.cancelled > 0;
  return [
    ...(counted === 0 ? ['holds no test'] : []),
    ...(counted === told.results ? [] : [`told ${told.results} results, but counted ${counted}`]),
    ...(told.running.size === 0 ? [] : [`ended while ${names(told)} had not finished`]),
    ...(told.hooksFailed === 0 ? [] : ['failed in its own `after`']),
    ...(success || failedTests || told.hooksFailed > 0 ? [] : ['failed outside of its tests']),
    ...(success === (ending.code === 0 && ending.signal === null)
      ? []
      : [`ended with ${how} after its tests had ${success ? 'passed' : 'failed'}`]),
    ...held,
  ];
}

function arrived(told: Told): string {
  const running = told.running.size === 0 ? '' : `, ${names(told)} had not finished`;
  return `${told.results} ${told.results === 1 ? 'result' : 'results'} arrived${running}`;
}

/** Suites hold their tests: the last begun is the innermost. */
const names = (told: Told) => `“${[...told.running.values()].at(-1) ?? ''}”`;
