/**
 * What becomes of a report, by its place in the order of its host. Pure, so that a table can test it.
 *
 * | report is of | and is | then |
 * | --- | --- | --- |
 * | a boot of which no hello is known | | resync (after the hello it is another answer) |
 * | this boot, an older epoch than the hello's | | stale: another agent has taken over |
 * | the epoch of the committed reports | a seq that is committed | committed: a repetition |
 * | | a snapshot with a newer seq, or a delta with the very next | apply |
 * | | a delta with a later one | resync: something is missing |
 * | another epoch | a snapshot | apply |
 * | | a delta | resync: it builds on what is not here |
 */
import type { Report } from '#shared/inventory.ts';
import type { Session } from './session.ts';

export type Verdict = 'apply' | 'committed' | 'resync' | 'stale';
type Place = Pick<Report, 'bootId' | 'epoch' | 'seq' | 'kind'>;

export function judge(session: Session, report: Place): Verdict {
  if (session.bootId !== report.bootId || session.epoch === null) return 'resync';
  if (report.epoch < session.epoch) return 'stale';
  if (!continues(session, report)) return report.kind === 'snapshot' ? 'apply' : 'resync';
  const committed = session.reportSeq ?? 0;
  if (report.seq <= committed) return 'committed';
  return report.kind === 'snapshot' || report.seq === committed + 1 ? 'apply' : 'resync';
}

/** The agent that made the committed inventory watched all the time until this report. */
export function continues(session: Session, report: Place): boolean {
  return session.reportBootId === report.bootId && session.reportEpoch === report.epoch;
}
