/** libseccomp as a second compiler of filters: Debian's libseccomp-dev, unpacked beside the test, linked into a program of ours. */
import { execFileSync, spawnSync } from 'node:child_process';
import { globSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export type LibraryRule = {
  action: number;
  name: string;
  number: number;
  tests: readonly { argument: number; mask: bigint; is: bigint }[];
};

export type SecondCompiler = {
  /** `unknown`: names that it has no number for; it leaves them out, or takes ours where it can. */
  compile(arch: string, fallback: number, rules: readonly LibraryRule[]): { program: Buffer; unknown: string[] };
};

/** Null where there is no such package to be had: no apt, or no way to its mirror. */
export function buildSecondCompiler(directory: string): SecondCompiler | null {
  const unpacked = join(directory, 'libseccomp');
  mkdirSync(unpacked);
  try {
    execFileSync('apt-get', ['-q', 'download', 'libseccomp-dev'], { cwd: unpacked, stdio: 'pipe' });
    execFileSync('dpkg-deb', ['-x', globSync('libseccomp-dev_*.deb', { cwd: unpacked })[0] ?? '', '.'], { cwd: unpacked, stdio: 'pipe' });
  } catch {
    return null;
  }
  const program = join(directory, 'seccomp-compile');
  const source = fileURLToPath(new URL('../fixtures/seccomp-compile.c', import.meta.url));
  const archive = globSync('usr/lib/*/libseccomp.a', { cwd: unpacked })[0] ?? 'libseccomp.a';
  execFileSync('gcc', ['-O1', '-Wall', '-Wextra', `-I${unpacked}/usr/include`, source, join(unpacked, archive), '-o', program]);
  return {
    compile(arch, fallback, rules) {
      const lines = rules.map(({ action, name, number, tests }) =>
        ['rule', action, name, number, ...tests.flatMap(({ argument, mask, is }) => [argument, mask, is])].join(' '),
      );
      const { status, stdout, stderr } = spawnSync(program, { input: [`arch ${arch}`, `default ${fallback}`, ...lines, ''].join('\n') });
      if (status !== 0) throw new Error(`seccomp-compile ended with ${status}: ${stderr.toString()}`);
      return {
        program: stdout,
        unknown: stderr
          .toString()
          .split('\n')
          .filter((name) => name !== ''),
      };
    },
  };
}
