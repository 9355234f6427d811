/** `nsfleet sandbox update`, `pause` and `resume`: changing what runs. */
import type { LimitWrite } from '#shared/cgroup.ts';
import { connect } from '../connection.ts';
import { usage } from '../failure.ts';
import { printJson } from '../output/json.ts';
import type { Session } from '../session.ts';
import { forEachSandbox } from './each.ts';
import { limitChange } from './limit-options.ts';
import type { LimitOptions } from './limit-options.ts';

export type UpdateOptions = LimitOptions & { dryRun?: boolean };

/** Changes the limits that are named; the others stay. */
export async function updateSandboxes(session: Session, names: readonly string[], { dryRun, ...limits }: UpdateOptions): Promise<number> {
  const resources = limitChange(limits);
  if (Object.keys(resources).length === 0) throw usage('nsfleet sandbox update', 'no limit is named: --memory, --cpus, --pids-limit …');
  const { client } = connect(session);
  const writes: { sandbox: string; writes: LimitWrite[] }[] = [];
  const update = async (sandbox: string) => {
    const query = dryRun === true ? { dryRun: 'true' as const } : {};
    const updated = await client.call('sandboxUpdate', { params: { sandbox }, query, body: { resources } });
    writes.push({ sandbox: updated.sandbox.name, writes: updated.writes });
    return updated.sandbox;
  };
  if (dryRun !== true) return forEachSandbox(session, names, update);
  for (const name of names) await update(name);
  if (session.json) printJson(session, { updates: writes });
  else
    for (const { sandbox, writes: each } of writes)
      for (const { file, value } of each) session.stdout.write(`${sandbox}\t${file}\t${value}\n`);
  return 0;
}

export async function pauseSandboxes(session: Session, names: readonly string[]): Promise<number> {
  const { client } = connect(session);
  return forEachSandbox(session, names, (sandbox) => client.call('sandboxPause', { params: { sandbox } }));
}

export async function resumeSandboxes(session: Session, names: readonly string[]): Promise<number> {
  const { client } = connect(session);
  return forEachSandbox(session, names, (sandbox) => client.call('sandboxResume', { params: { sandbox } }));
}
