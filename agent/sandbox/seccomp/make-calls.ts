/**
 * Writes calls.ts: the system calls of both architectures, from the kernel's own headers. By hand, when a kernel has new calls:
 *
 *     node agent/sandbox/seccomp/make-calls.ts [INCLUDE]      # of `make headers_install`, or a distribution's: /usr/include
 *
 * A call that calls.ts does not know is ENOSYS in a sandbox, so nothing is open until somebody has looked at it and named it in a profile.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Architecture } from './calls.ts';
import { words } from './profile.ts';

/** What arch/<arch>/include/uapi/asm/unistd.h says before or instead of the list itself. */
const lists: Record<Architecture, string> = {
  x86_64: '#include <asm/unistd_64.h>\n',
  aarch64: [
    ...words('RENAMEAT NEW_STAT SET_GET_RLIMIT TIME32_SYSCALLS SYS_CLONE3 MEMFD_SECRET').map((name) => `#define __ARCH_WANT_${name}`),
    '#include <asm-generic/unistd.h>\n',
  ].join('\n'),
};

/**
 * Linux 6.5 to 7.1, for headers that are older. Calls from 424 on have the same number on every architecture; 335 and 336 are x86_64's alone.
 * A header that has them wins.
 */
const newer = [
  ...words('cachestat fchmodat2 map_shadow_stack futex_wake futex_wait futex_requeue statmount listmount lsm_get_self_attr'),
  ...words('lsm_set_self_attr lsm_list_modules mseal setxattrat getxattrat listxattrat removexattrat open_tree_attr'),
  ...words('file_getattr file_setattr listns rseq_slice_yield'),
].map((name, index) => [name, 451 + index] as const);
const newerOfX86: readonly (readonly [name: string, number: number])[] = [
  ['uretprobe', 335],
  ['uprobe', 336],
];

/** Name → number, of the headers in `include`; needs a C preprocessor. Throws where there is none, or no such header. */
export function readHeaders(architecture: Architecture, include: string): Map<string, number> {
  // x86_64's own header lies in a directory of its architecture where the distribution keeps several.
  const paths = [include, `${include}/x86_64-linux-gnu`].map((path) => `-I${path}`);
  const macros = execFileSync('gcc', [...paths, '-E', '-dM', '-x', 'c', '-'], { input: lists[architecture], encoding: 'utf8' });
  const values = new Map([...macros.matchAll(/^#define (__NR\w*) (\w+)$/gm)].map(([, name = '', value = '']) => [name, value]));
  const calls = new Map<string, number>();
  for (const [name, value] of values) {
    const number = Number(values.get(value) ?? value);
    if (!name.startsWith('__NR_') || name === '__NR_syscalls' || name === '__NR_arch_specific_syscall') continue;
    if (!Number.isInteger(number)) throw new Error(`${name} is ${value}, no number`);
    calls.set(name.slice('__NR_'.length), number);
  }
  return calls;
}

function makeTable(include: string): string {
  const [x86, arm] = (['x86_64', 'aarch64'] as const).map((one) => new Map([...newer, ...readHeaders(one, include)])) as [
    Map<string, number>,
    Map<string, number>,
  ];
  for (const [name, number] of newerOfX86) x86.set(name, number);
  const names = [...new Set([...x86.keys(), ...arm.keys()])].toSorted();
  const rows = names.map((name) => `${name} ${x86.get(name) ?? '-'} ${arm.get(name) ?? '-'}`);
  const lines: string[] = [];
  for (const row of rows) {
    const last = lines.at(-1);
    if (last === undefined || last.length + row.length > 130) lines.push(row);
    else lines[lines.length - 1] = `${last} · ${row}`;
  }
  return lines.join('\n');
}

function main(include: string): void {
  const path = fileURLToPath(new URL('calls.ts', import.meta.url));
  writeFileSync(
    path,
    `/** System calls of Linux by name. Written by make-calls.ts from the kernel’s headers: change that, not this. */
export type Architecture = 'x86_64' | 'aarch64';

/** Name, number on x86_64, number on aarch64. */
const table = \`
${makeTable(include)}\`;

function numbers(column: 1 | 2): ReadonlyMap<string, number> {
  const rows = table.trim().split(/ · |\\n/).map((row) => row.split(' '));
  return new Map(rows.flatMap((row) => (row[column] === '-' ? [] : [[row[0] ?? '', Number(row[column])] as const])));
}

export const calls: Record<Architecture, ReadonlyMap<string, number>> = { x86_64: numbers(1), aarch64: numbers(2) };
`,
  );
  execFileSync('oxfmt', [path]);
}

if (import.meta.main) main(process.argv[2] ?? '/usr/include');
