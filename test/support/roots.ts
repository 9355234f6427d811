/** Root file systems for tests, of the host's own programs. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Directories that a root has, and these programs of the host with the libraries that they load. Returns `root`. */
export function makeRoot(root: string, programs: readonly string[] = ['sh', 'ls', 'cat', 'stat', 'rm', 'mkdir', 'head', 'grep']): string {
  for (const name of ['bin', 'etc', 'proc', 'dev', 'tmp']) mkdirSync(join(root, name), { recursive: true });
  for (const program of programs) copyProgram(root, program);
  writeFileSync(join(root, 'etc/motd'), 'hello from the root\n');
  return root;
}

function copyProgram(root: string, name: string): void {
  const path = execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
  copyFileSync(path, join(root, 'bin', name));
  const libraries = execFileSync('ldd', [path], { encoding: 'utf8' }).match(/\/\S+/g) ?? [];
  for (const library of libraries) {
    mkdirSync(dirname(join(root, library)), { recursive: true });
    copyFileSync(library, join(root, library));
  }
}
