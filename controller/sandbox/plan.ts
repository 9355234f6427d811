/** A dry run: the scheduler's decision and the plan of the host that it chose. Nothing is made. */
import { NsfleetError, issuesText } from '#shared/errors.ts';
import { PlanAnswer } from '#shared/messages.ts';
import type { Decision } from '#shared/resources.ts';
import type { IdRange, SandboxRequest } from '#shared/sandbox.ts';
import type { Context } from '../context.ts';
import { schedulingView } from '../store/schedule.ts';
import { nextSlot } from '../store/preview.ts';
import type { HostView } from '../scheduler/feasible.ts';
import { besideOf } from './beside.ts';
import { randomName } from './names.ts';
import { chosenHost, placeInTime, wishOf } from './schedule.ts';

const planMs = 5000;

export type Plan = { decision: Decision; hostName: string; idRange: IdRange | null; plan: unknown; lines: string[] };

/** CONSTRAINT_INVALID, NOT_PLACED, HOST_UNREACHABLE, or the host's own error. The id range is the one it would get now. */
export async function planSandbox(context: Context, request: SandboxRequest, signal: AbortSignal): Promise<Plan> {
  const name = request.name ?? randomName();
  const { decision, host, idRange } = await findSlot(context, request, name);
  const data = await context.asker.ask(host, { type: 'plan', name, idRange, spec: request.spec }, planMs, signal);
  const answer = PlanAnswer.safeParse(data);
  if (answer.success) return { decision, hostName: host.name, idRange, plan: answer.data.plan, lines: answer.data.lines };
  throw new NsfleetError('MESSAGE_MALFORMED', {
    attempted: 'read the plan of host',
    target: host.name,
    reason: issuesText(answer.error.issues).slice(0, 1000),
  });
}

/** As a creation would find it: a host that looks free and has no slot is left out, and the rest looked at again. */
async function findSlot(
  context: Context,
  request: SandboxRequest,
  name: string,
): Promise<{ decision: Decision; host: HostView; idRange: IdRange | null }> {
  const exhausted = new Set<string>();
  const wish = { ...wishOf(request.spec), ...(await besideOf(context.store.db, request.spec)), exhausted };
  const hosts = await schedulingView(context.store.db);
  for (;;) {
    const decision = placeInTime(hosts, wish);
    const host = chosenHost(hosts, decision, name);
    const slot = await nextSlot(context.store.db, host.id);
    if (slot !== null) return { decision, host, idRange: slot.idRange };
    exhausted.add(host.id);
  }
}
