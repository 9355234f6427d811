/** Pids between pid namespaces: /proc/<pid>/status has a process's pid in each, outermost first (NSpid, Linux 4.1). */
import { readFileSync } from 'node:fs';
import { NsfleetError } from '#shared/errors.ts';
import type { ReportedProcess } from '#shared/inventory.ts';
import type { NamespaceKey } from '#shared/namespace.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import type { PidTranslation } from '#shared/pids.ts';
import { startOf } from './command-lines.ts';
import { parseNsPids } from './describe/proc-text.ts';
import type { Model } from './model.ts';

const pidPosition = namespaceTypes.indexOf('pid');
/** MAX_PID_NS_LEVEL of the kernel. */
const levelsMax = 32;

/** The process that `namespace` (null: the agent's own) knows as `pid`, or PROCESS_NOT_FOUND. */
export function translatePid(model: Model, pid: number, namespace: NamespaceKey | null, proc = '/proc'): PidTranslation {
  for (const process of candidates(model, pid, namespace)) {
    const pids = pidsOf(process, proc);
    if (pids === null) continue;
    const chain = chainOf(model, process.namespaces[pidPosition] ?? null, pids.length);
    const level = namespace === null ? 0 : chain.indexOf(namespace);
    if (pids[level] !== pid) continue;
    const { start, uid, comm } = process;
    return { pid: process.pid, start, uid, comm, pids: pids.map((value, index) => ({ namespace: chain[index] ?? null, pid: value })) };
  }
  const where = namespace === null ? 'on this host' : `in pid namespace ${namespace}`;
  throw new NsfleetError('PROCESS_NOT_FOUND', {
    attempted: 'translate pid',
    target: String(pid),
    reason: `no process has that pid ${where}`,
  });
}

function* candidates(model: Model, pid: number, namespace: NamespaceKey | null): Generator<ReportedProcess> {
  if (namespace !== null && !model.namespaces.has(`pid ${namespace}`)) {
    throw new NsfleetError('NAMESPACE_NOT_FOUND', {
      attempted: 'translate pid',
      target: namespace,
      reason: 'this host has no such pid namespace',
    });
  }
  for (const process of model.processes.values()) {
    if (namespace === null && process.pid !== pid) continue;
    // A process of a namespace below has a pid in this one too.
    if (namespace !== null && !chainOf(model, process.namespaces[pidPosition] ?? null, levelsMax).includes(namespace)) continue;
    yield process;
  }
}

/** Keys from the outermost of `levels` namespaces down to `own`; null where the agent does not see that far up. */
function chainOf(model: Model, own: NamespaceKey | null, levels: number): (NamespaceKey | null)[] {
  const chain: (NamespaceKey | null)[] = [];
  for (let key = own; key !== null && chain.length < levels; key = model.namespaces.get(`pid ${key}`)?.parent ?? null) chain.unshift(key);
  if (levels < levelsMax) while (chain.length < levels) chain.unshift(null);
  return chain;
}

/** Null where it has ended, or its pid is another process now. */
function pidsOf({ pid, start }: ReportedProcess, proc: string): number[] | null {
  try {
    const pids = parseNsPids(readFileSync(`${proc}/${pid}/status`, 'latin1'));
    return startOf(readFileSync(`${proc}/${pid}/stat`, 'latin1')) === start ? pids : null;
  } catch {
    return null;
  }
}
