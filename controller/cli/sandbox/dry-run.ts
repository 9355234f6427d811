/** `nsfleet sandbox run --dry-run`. */
import type { Client, Reply } from '#shared/client.ts';
import type { SandboxRequest } from '#shared/sandbox.ts';
import { printable } from '#shared/escape.ts';
import { printJson } from '../output/json.ts';
import type { Session } from '../session.ts';
import { decisionLines } from './decision.ts';

/** Prints where it would run, why, and every operation of the plan. */
export async function dryRun(session: Session, client: Client, request: SandboxRequest): Promise<number> {
  const answer = await client.call('sandboxPlan', { body: request });
  if (session.json) printJson(session, answer);
  else session.stdout.write(`${planLines(answer).map(printable).join('\n')}\n`);
  return 0;
}

function planLines({ decision, hostName, idRange, lines }: Reply<'sandboxPlan'>): string[] {
  const ids = idRange === null ? 'one id: that of the agent' : `${idRange.start} to ${idRange.start + idRange.count - 1}`;
  return [
    `Host: ${hostName}`,
    ...decisionLines(decision).map((line) => `  ${line}`),
    `Ids outside: ${ids}`,
    'Plan:',
    ...lines.map((line) => `  ${line}`),
  ];
}
