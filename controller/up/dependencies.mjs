/** `npm ci`, when node_modules is missing or is not what the lock says. Plain JavaScript for Node ≥ 20, no dependency. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const progressMs = 5000;

/** Makes node_modules agree with package-lock.json. `say` takes progress lines. Throws with npm's own words. */
export async function ensureDependencies(say) {
  const lock = readJson(join(root, 'package-lock.json'));
  if (lock === null) throw new Error('package-lock.json is missing or damaged: get it from git again');
  const installed = readJson(join(root, 'node_modules', '.package-lock.json'));
  if (!agrees(lock, installed) || !existsSync(join(root, 'node_modules', '.bin', 'node'))) {
    await installDependencies(say);
    if (!existsSync(join(root, 'node_modules', '.bin', 'node'))) {
      throw new Error(
        `npm left no Node 24 for linux-${process.arch} (package node-linux-${process.arch}): x64 and arm64 are supported, and optional packages must not be omitted`,
      );
    }
  }
  linkCommands();
}

/** True where every package of the lock that is not optional is installed in that version, and nothing else is. */
export function agrees(lock, installed) {
  if (installed === null) return false;
  const wanted = Object.entries(lock.packages ?? {}).filter(([path]) => path !== '');
  const present = installed.packages ?? {};
  const known = new Set(wanted.map(([path]) => path));
  return (
    wanted.every(([path, entry]) => {
      const found = present[path];
      if (found === undefined) return entry.optional === true;
      return found.version === entry.version && found.integrity === entry.integrity;
    }) && Object.keys(present).every((path) => known.has(path))
  );
}

async function installDependencies(say) {
  say('dependencies: npm ci (160 packages, 450 MB unpacked; half a minute) …');
  const npm = process.env.npm_execpath?.endsWith('.js') ? [process.execPath, process.env.npm_execpath] : ['npm'];
  const args = [...npm.slice(1), 'ci', '--include=optional', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  const child = spawn(npm[0], args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, npm_config_production: undefined },
  });
  let words = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (chunk) => {
      words = (words + chunk).slice(-8000);
    });
  }
  const timer = setInterval(() => say('dependencies: npm ci is at work'), progressMs);
  try {
    const how = await new Promise((resolve) => {
      child.on('error', (error) => resolve(error.code === 'ENOENT' ? 'npm is not installed or not on PATH' : error.message));
      child.on('close', (code, signal) => resolve(code === 0 ? null : `npm ci ended with ${signal ?? `code ${code}`}`));
    });
    if (how !== null) throw new Error(`${how}\n${words.trim()}`);
  } finally {
    clearInterval(timer);
  }
  say('dependencies: ready');
}

/** So that `npx nsfleet` finds the commands of this checkout at once; npm links only those of dependencies. */
function linkCommands() {
  const commands = readJson(join(root, 'package.json'))?.bin ?? {};
  for (const [name, path] of Object.entries(commands)) {
    try {
      symlinkSync(join('..', '..', path), join(root, 'node_modules', '.bin', name));
    } catch (error) {
      // A checkout that belongs to somebody else is set up by its owner.
      if (!['EEXIST', 'EACCES', 'EROFS'].includes(error.code)) throw error;
    }
  }
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}
