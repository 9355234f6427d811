/** `host doctor`: asked of the host, which tries now. */
import type { Reply } from '#shared/client.ts';
import { DoctorReport } from '#shared/doctor.ts';
import { NsfleetError, issuesText } from '#shared/errors.ts';
import type { Context } from '../context.ts';
import { findHost } from '../store/hosts.ts';
import type { Asked } from './routes.ts';

/** Some dozen children; on a crowded host their namespaces take their time. */
const doctorMs = 15_000;

export async function examineHost(context: Context, { params, signal }: Asked<'hostDoctor'>): Promise<Reply<'hostDoctor'>> {
  const host = await findHost(context.store.db, params.host);
  const answer = DoctorReport.safeParse(await context.asker.ask(host, { type: 'doctor' }, doctorMs, signal));
  if (answer.success) return { ...answer.data, hostId: host.id, hostName: host.name };
  throw new NsfleetError('MESSAGE_MALFORMED', {
    attempted: 'read the findings of host',
    target: host.name,
    reason: issuesText(answer.error.issues).slice(0, 1000),
  });
}
