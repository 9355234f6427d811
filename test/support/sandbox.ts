/** Sandboxes for tests of the shim: a spec's plan, a state directory, and what the two give. */
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { resolveProcess } from '#agent/image/process.ts';
import { readKernelFacts } from '#agent/sandbox/kernel-facts.ts';
import { compileEnterPlan, compileSandboxPlan } from '#agent/sandbox/plan.ts';
import { readHostRootFacts } from '#agent/sandbox/root-facts.ts';
import type { SandboxSources } from '#agent/sandbox/sources.ts';
import type { Plan } from '#shared/plan.ts';
import { SandboxSpec } from '#shared/sandbox.ts';
import type { SandboxSpecInput } from '#shared/sandbox.ts';
import { testIdRange } from './id-pool.ts';
import type { ShimRun, Shims } from './shim.ts';

/** The ids of all sandboxes of these tests; each test's sandboxes end with it. */
export const idRange = testIdRange(0);
const owner = { uid: 0, gid: 0 };
export const kernel = readKernelFacts(true);
const hostname = 'tested';

/** Sandboxes that live at the same time need a range each: `range` is `testIdRange(n)`. */
export function planOf(spec: SandboxSpecInput, range = idRange): Plan {
  return compileSandboxPlan({
    ...sourcesOf(SandboxSpec.parse(spec)),
    name: hostname,
    idRange: range,
    owner,
    host: readHostRootFacts(),
    kernel,
  });
}

/** As judged by a host that allows everything. */
export function sourcesOf(spec: SandboxSpec): SandboxSources {
  const volumes = spec.volumes.map((volume) =>
    volume.type === 'bind' ? { ...volume, directory: statSync(volume.source, { throwIfNoEntry: false })?.isDirectory() ?? true } : volume,
  );
  return { spec: resolveProcess(spec, null), layers: spec.root.type === 'directory' ? [spec.root.path] : [], volumes };
}

export function shellPlan(script: string, spec: Partial<SandboxSpecInput> = {}): Plan {
  return planOf({ command: ['sh', '-c', script], ...spec });
}

export function enterPlanOf(command: string[], rest: Partial<Parameters<typeof compileEnterPlan>[0]> = {}): Plan {
  return compileEnterPlan({
    command,
    env: {},
    cwd: '/',
    user: { uid: 0, gid: 0, groups: [] },
    spec: SandboxSpec.parse({ command: ['true'] }),
    hostname,
    idRange,
    owner,
    kernel,
    joined: null,
    ...rest,
  });
}

let made = 0;

/** A new state directory below `root`. */
export function stateDirectory(root: string): string {
  made += 1;
  const path = join(root, `state-${made}`);
  mkdirSync(path, { mode: 0o700 });
  return path;
}

export type Ended = { lines: string[]; stdout: string; stderr: string; state: string };

/** Runs a plan to its end. */
export async function runToEnd(shims: Shims, plan: Plan | Uint8Array, root: string): Promise<Ended> {
  const state = stateDirectory(root);
  const run = shims.run(plan, state);
  await run.ended();
  return { lines: run.lines, state, stdout: readLog(state, 'stdout.log'), stderr: readLog(state, 'stderr.log') };
}

export function readLog(state: string, name: string): string {
  return readFileSync(join(state, name), 'utf8');
}

/** The pids of `running <init> <command>`. */
export async function pidsOf(run: ShimRun): Promise<{ init: number; command: number }> {
  const [, init, command] = (await run.line('running')).split(' ').map(Number);
  return { init: init ?? 0, command: command ?? 0 };
}
