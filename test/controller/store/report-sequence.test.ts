import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge } from '#controller/store/report-sequence.ts';
import type { Verdict } from '#controller/store/report-sequence.ts';
import type { Session } from '#controller/store/session.ts';
import type { Report } from '#shared/inventory.ts';

const boot = '11111111-1111-4111-8111-111111111111';
const otherBoot = '22222222-2222-4222-8222-222222222222';

const silent: Session = {
  bootId: null,
  epoch: null,
  ready: false,
  reportBootId: null,
  reportEpoch: null,
  reportSeq: null,
  confirmedAt: null,
};
const greeted: Session = { ...silent, bootId: boot, epoch: 5, ready: true };
const reported: Session = { ...greeted, reportBootId: boot, reportEpoch: 5, reportSeq: 7 };
const restarted: Session = { ...reported, epoch: 6 };

type Row = [why: string, session: Session, bootId: string, epoch: number, seq: number, kind: Report['kind'], verdict: Verdict];

const rows: Row[] = [
  ['no hello yet', silent, boot, 5, 1, 'snapshot', 'resync'],
  ['no hello yet', silent, boot, 5, 1, 'delta', 'resync'],
  ['the first report', greeted, boot, 5, 1, 'snapshot', 'apply'],
  ['the first report, later than expected', greeted, boot, 5, 9, 'snapshot', 'apply'],
  ['nothing to build on', greeted, boot, 5, 1, 'delta', 'resync'],
  ['the next', reported, boot, 5, 8, 'delta', 'apply'],
  ['a repetition', reported, boot, 5, 7, 'delta', 'committed'],
  ['an old repetition', reported, boot, 5, 1, 'delta', 'committed'],
  ['a gap', reported, boot, 5, 9, 'delta', 'resync'],
  ['a newer whole', reported, boot, 5, 8, 'snapshot', 'apply'],
  ['a newer whole over a gap', reported, boot, 5, 20, 'snapshot', 'apply'],
  ['the same whole again', reported, boot, 5, 7, 'snapshot', 'committed'],
  ['an older whole', reported, boot, 5, 3, 'snapshot', 'committed'],
  ['an agent that was replaced', reported, boot, 4, 8, 'delta', 'stale'],
  ['an agent that was replaced', reported, boot, 4, 99, 'snapshot', 'stale'],
  ['the replaced one, before the new one reports', restarted, boot, 5, 8, 'delta', 'stale'],
  ['the new one, with what it cannot build on', restarted, boot, 6, 8, 'delta', 'resync'],
  ['the new one, from the start', restarted, boot, 6, 1, 'snapshot', 'apply'],
  ['a start whose hello is on its way', reported, boot, 6, 1, 'snapshot', 'apply'],
  ['a start whose hello is on its way', reported, boot, 6, 8, 'delta', 'resync'],
  ['another boot', reported, otherBoot, 5, 8, 'delta', 'resync'],
  ['another boot', reported, otherBoot, 9, 1, 'snapshot', 'resync'],
];

for (const [why, session, bootId, epoch, seq, kind, verdict] of rows) {
  test(`${why}: ${kind} ${epoch}/${seq} is ${verdict}`, () => {
    assert.equal(judge(session, { bootId, epoch, seq, kind }), verdict);
  });
}
