/** Whether this controller can serve, and if not, what is missing, in sentences. */
import { deadline } from '#shared/async.ts';
import { errorText } from '#shared/errors.ts';
import type { Link } from './link.ts';

/** Whoever asks (a load balancer) asks again soon: an answer that comes later than this is none. */
const pingMs = 2000;

export type Readiness = { problems: string[] };

/** Migrations are done before anything listens, so that it asks at all says that they are. */
export async function checkReadiness(ping: () => Promise<unknown>, link: Link): Promise<Readiness> {
  const problems: string[] = [];
  try {
    await deadline(ping(), pingMs, 'ping', 'Postgres');
  } catch (error) {
    problems.push(`Postgres does not answer: ${errorText(error)}`);
  }
  const { ok, server, reason } = link.state();
  if (!ok) problems.push(`NATS at ${server} is not usable: ${reason}`);
  return { problems };
}
