/** `nsfleet host doctor`. */
import { formatFindings, isLacking } from '#shared/doctor-text.ts';
import { exitCodes } from '#shared/errors.ts';
import { printable } from '#shared/escape.ts';
import { connect } from '../connection.ts';
import { printJson } from '../output/json.ts';
import type { Session } from '../session.ts';

/** Prints what a host can give; the exit code tells whether something is missing. */
export async function printDoctor(session: Session, host: string): Promise<number> {
  const report = await connect(session).client.call('hostDoctor', { params: { host } });
  if (session.json) printJson(session, report);
  else session.stdout.write(formatFindings(report, printable));
  return isLacking(report) ? exitCodes.failed : exitCodes.ok;
}
