/** The reporter inside of each test file's process: Node's events become frames, and text by Node's own `spec`. */
import { writeSync } from 'node:fs';
import { spec as Spec } from 'node:test/reporters';
import { askSignal, framesFd } from './frames.ts';
import type { Counts, Frame } from './frames.ts';

/** Of node:test's events only what is used here. */
type TestEvent = {
  type: string;
  data: {
    testId?: number;
    name?: string;
    nesting?: number;
    message?: string;
    success?: boolean;
    counts?: Counts;
  };
};

/** A file's own totals, which the suite adds up: told as `end`. */
const total = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;

/** Nothing goes to stdout: the generator yields nothing. Writes wait for the pipe, so that no way to end can lose what was told. */
export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  process.on(askSignal, () => tell({ type: 'open', resources: process.getActiveResourcesInfo() }));
  const spec = new Spec();
  spec.setEncoding('utf8');
  let end: Frame | null = null;
  for await (const event of source) {
    const { type, data } = event;
    if (type === 'test:dequeue') tell({ type: 'begin', id: data.testId ?? 0, name: data.name ?? '' });
    if (type === 'test:complete') tell({ type: 'finish', id: data.testId ?? 0 });
    if (type === 'test:summary') end = { type: 'end', counts: data.counts ?? noCounts, success: data.success === true };
    if (type === 'test:summary' || (type === 'test:diagnostic' && data.nesting === 0 && total.test(data.message ?? ''))) continue;
    spec.write(event);
    const text = String(spec.read() ?? '');
    if (text !== '') tell({ type: 'text', text });
    // Only an `after` of the file has no id, and only when it fails: Node does not count it.
    if (type === 'test:pass' || type === 'test:fail') tell({ type: 'result', of: data.testId === undefined ? 'hook' : 'test' });
  }
  spec.end();
  let failures = '';
  for await (const chunk of spec) failures += String(chunk);
  if (failures !== '') tell({ type: 'failures', text: failures });
  if (end !== null) tell(end);
  yield '';
}

const noCounts: Counts = { tests: 0, suites: 0, passed: 0, failed: 0, cancelled: 0, skipped: 0, todo: 0 };

function tell(frame: Frame): void {
  const bytes = Buffer.from(`${JSON.stringify(frame)}\n`);
  for (let written = 0; written < bytes.length;) written += writeSync(framesFd, bytes, written);
}
