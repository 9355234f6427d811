/** The rules of the house as functions of a list of files: architecture.test.ts applies them to the source and to made-up sources. */
import { posix } from 'node:path';

export type SourceFile = { path: string; text: string };
type Import = { from: string; to: string; typeOnly: boolean };

const rooms = ['agent', 'controller', 'native', 'shared', 'test'];

/** Which rooms a file may import from, the first matching line counts. `test` may import anything and is imported by nobody else. */
const mayImport: readonly { files: RegExp; rooms: RegExp }[] = [
  { files: /^test\//, rooms: /^/ },
  { files: /^shared\//, rooms: /^shared\// },
  { files: /^native\//, rooms: /^(native|shared)\// },
  { files: /^agent\//, rooms: /^(agent|native|shared)\// },
  { files: /^controller\/cli\//, rooms: /^(controller\/cli|shared)\// },
  // Feasible, score and place decide: no clock, no database, no log.
  { files: /^controller\/scheduler\//, rooms: /^(controller\/scheduler\/|controller\/filter\/cel\.ts|shared\/(?!log\.ts|client\.ts))/ },
  { files: /^controller\/up\/(launch|dependencies)\.mjs$/, rooms: /^(controller\/(up\/.*|make-directory)|native\/build)\.mjs$/ },
  { files: /^controller\//, rooms: /^(controller|shared)\// },
];

/** Where a package may be imported; packages without a line are free. Tests may import any. */
const packageRooms: readonly { packages: RegExp; files: RegExp }[] = [
  { packages: /^koffi$/, files: /^native\/binding\.ts$/ },
  { packages: /^nats$/, files: /^(agent|controller)\/link\.ts$/ },
  { packages: /^@nats-io\//, files: /^(controller\/credentials\/|controller\/up\/enrol\.ts|agent\/enroll\.ts)/ },
  { packages: /^(pg|drizzle-orm)(\/|$)/, files: /^controller\/store\// },
  { packages: /^(fastify|@fastify\/.*|fastify-.*)$/, files: /^controller\/http\// },
  { packages: /^@marcbachmann\/cel-js$/, files: /^controller\/filter\/cel\.ts$/ },
  { packages: /^commander$/, files: /^(controller\/cli|agent)\// },
  { packages: /^pino$/, files: /^shared\/log\.ts$/ },
];

/** shared/ does no I/O but its client's, and the scheduler's decisions know nothing but their arguments. */
const builtinsAllowed: readonly { files: RegExp; builtins: RegExp }[] = [
  { files: /^shared\/client\.ts$/, builtins: /^node:(https?|crypto)$/ },
  { files: /^shared\//, builtins: /^node:(path|crypto|util)$/ },
  { files: /^controller\/scheduler\//, builtins: /^$/ },
];

const tooVague = /(^|[-_.])(util|utils|helper|helpers|common|misc|manager|service|handler)s?\.(ts|mjs|c|h)$/i;
const linesMax: Readonly<Record<string, number>> = { ts: 400, mjs: 400, c: 500, h: 500 };

/** Every violation as a sentence; none for a house in order. */
export function violations(files: readonly SourceFile[]): string[] {
  const imports = files.filter((file) => /\.(ts|mjs)$/.test(file.path)).flatMap((file) => importsOf(file));
  const shipped = imports.filter((edge) => !edge.from.startsWith('test/'));
  return [
    ...shipped.flatMap((edge) => forbiddenEdge(edge)),
    ...cycles(imports.filter((edge) => !edge.typeOnly)).map((cycle) => `import cycle: ${cycle.join(' → ')}`),
    ...files.flatMap((file) => tooLong(file)),
    ...files.filter((file) => tooVague.test(file.path)).map((file) => `${file.path}: a name that does not tell what is in it`),
  ];
}

function forbiddenEdge({ from, to }: Import): string[] {
  const builtins = builtinsAllowed.find((rule) => rule.files.test(from));
  if (to.startsWith('node:')) return builtins === undefined || builtins.builtins.test(to) ? [] : [`${from} must not import ${to}`];
  if (!rooms.includes(to.split('/')[0] ?? '')) {
    const rule = packageRooms.find(({ packages }) => packages.test(to));
    return rule === undefined || rule.files.test(from) ? [] : [`${from} must not import package ${to}`];
  }
  const rule = mayImport.find(({ files }) => files.test(from));
  return rule === undefined || rule.rooms.test(to) ? [] : [`${from} must not import ${to}`];
}

const importPattern = /^\s*(?:import|export)\s+(type\s+)?(?:[\w$*{}\s,]+?\s+from\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;

function importsOf({ path, text }: SourceFile): Import[] {
  return [...text.matchAll(importPattern)].map((match) => ({
    from: path,
    to: resolved(path, match[2] ?? match[3] ?? ''),
    typeOnly: match[1] !== undefined,
  }));
}

function resolved(from: string, specifier: string): string {
  if (specifier.startsWith('#')) return specifier.slice(1);
  return specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : specifier;
}

function tooLong({ path, text }: SourceFile): string[] {
  const max = linesMax[path.slice(path.lastIndexOf('.') + 1)];
  const lines = text.split('\n').length - 1;
  return max !== undefined && lines > max ? [`${path}: ${lines} lines, at most ${max}`] : [];
}

/** One cycle for each back edge of a depth-first walk. */
function cycles(imports: readonly Import[]): string[][] {
  const targets = new Map<string, Set<string>>();
  for (const { from, to } of imports) targets.set(from, (targets.get(from) ?? new Set()).add(to));
  const done = new Set<string>();
  const found: string[][] = [];
  const walk = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file);
    if (at !== -1) found.push([...path.slice(at), file]);
    if (at !== -1 || done.has(file)) return;
    for (const target of targets.get(file) ?? []) walk(target, [...path, file]);
    done.add(file);
  };
  for (const file of targets.keys()) walk(file, []);
  return found;
}
