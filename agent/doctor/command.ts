/** `nsfleet-agent doctor`: also before the host is enrolled, and beside an agent that runs. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadNative } from '#native/binding.ts';
import { formatFindings, isLacking } from '#shared/doctor-text.ts';
import { exitCodes } from '#shared/errors.ts';
import { createLog } from '#shared/log.ts';
import { noCgroups, openCgroups } from '../cgroup/hierarchy.ts';
import { readAgentPlaces, readAgentPolicy } from '../config.ts';
import { examine } from '../doctor.ts';
import { chooseTaskSource } from '../inventory/task-source.ts';

/** The exit code: 1 where something is missing. */
export async function runDoctor(json: boolean): Promise<number> {
  const { stateDirectory, cgroupParent } = readAgentPlaces(process.env);
  const { idPool } = readAgentPolicy(process.env);
  const native = loadNative();
  const owner = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  using program = native.sealProgram(fileURLToPath(new URL('../../native/build/nsfleet-shim', import.meta.url)));
  using tasks = await chooseTaskSource(native, createLog('doctor', 'silent'));
  const cgroups = owner.uid === 0 ? openCgroups(`doctor-${process.pid}`, cgroupParent) : noCgroups('the agent runs as a plain user');
  const directory = placeFor(stateDirectory);
  try {
    const report = await examine({ native, program, owner, idPool, directory, cgroups, tasks });
    process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : formatFindings(report));
    return isLacking(report) ? exitCodes.failed : exitCodes.ok;
  } finally {
    cgroups.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Beside the state directory, on its file system, so that an agent that starts there does not clean it away; else anywhere. */
function placeFor(stateDirectory: string): string {
  try {
    return mkdtempSync(`${stateDirectory}-doctor-`);
  } catch {
    return mkdtempSync(join(tmpdir(), 'nsfleet-doctor-'));
  }
}
