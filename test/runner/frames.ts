/** What a test file's process tells the suite while it runs: one JSON object a line, on a descriptor of its own, written at once. */

/** A pipe to the suite. Not stdout: that is the tests' own, and what they print may look like anything. */
export const framesFd = 3;

/** As Node's test runner counts: suites apart, cancelled tests not among the failed ones. */
export type Counts = Record<'tests' | 'suites' | 'passed' | 'failed' | 'cancelled' | 'skipped' | 'todo', number>;

export type Frame =
  /** a test or suite begins; `id` is unique in the file */
  | { type: 'begin'; id: number; name: string }
  | { type: 'finish'; id: number }
  /** the result of a test or a suite, told in the order of the file; `hook`: an `after` of the file failed */
  | { type: 'result'; of: 'test' | 'hook' }
  /** lines of the readable report */
  | { type: 'text'; text: string }
  /** all failures once more, for the end of the whole report */
  | { type: 'failures'; text: string }
  /** answers askSignal: what keeps the process, as process.getActiveResourcesInfo names it */
  | { type: 'open'; resources: string[] }
  /** the last frame: the file's own count of the results that it told; `success` is false also where something outside of a test failed */
  | { type: 'end'; counts: Counts; success: boolean };

/** Asks a file's process for an `open` frame. No test needs this signal for itself. */
export const askSignal = 'SIGPWR';
