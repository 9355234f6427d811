/** C programs of test/fixtures, compiled for the tests that need them. */
import { globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findCompiler, run } from '#native/compiler.mjs';

const fixtures = fileURLToPath(new URL('../fixtures', import.meta.url));
const flags = ['-std=gnu11', '-D_GNU_SOURCE', '-O2', '-pthread', '-Wall', '-Wextra', '-Wno-missing-field-initializers'];

/** A static program at `output` from the C files that `pattern` names below test/fixtures. Returns `output`. */
export async function compileFixture(pattern: string, output: string): Promise<string> {
  const compiler = await findCompiler({ work: dirname(output), log: () => undefined });
  const sources = globSync(join(fixtures, pattern)).toSorted();
  await run([...compiler.command, ...compiler.target('shim'), ...compiler.staticPie, ...flags, ...sources, '-o', output], {
    what: `compile test/fixtures/${pattern}`,
  });
  return output;
}
