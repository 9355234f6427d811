import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Moment, momentMs } from '#shared/moment.ts';

const now = Date.parse('2026-11-23T12:00:00Z');

for (const [text, iso] of [
  ['2026-11-20T14:00', '2026-11-20T14:00:00.000Z'],
  ['2026-11-20 14:00:05.25', '2026-11-20T14:00:05.250Z'],
  ['2026-11-20T14:00:00+02:00', '2026-11-20T12:00:00.000Z'],
  ['2026-11-20', '2026-11-20T00:00:00.000Z'],
  ['now', '2026-11-23T12:00:00.000Z'],
  ['-90m', '2026-11-23T10:30:00.000Z'],
  ['-7d', '2026-11-16T12:00:00.000Z'],
] as const) {
  test(`${text} is ${iso}`, () => assert.equal(new Date(momentMs(text, now) ?? Number.NaN).toISOString(), iso));
}

for (const text of [
  '',
  'yesterday',
  '2026-02-30',
  '2026-13-01',
  '2026-11-20T25:00',
  '14:00',
  '-1y',
  '2026-11-20T14:00Zx',
  '-99999999999d',
]) {
  test(`no moment: ${JSON.stringify(text)}`, () => {
    assert.equal(momentMs(text, now), null);
    assert.equal(Moment.safeParse(text).success, false);
  });
}
