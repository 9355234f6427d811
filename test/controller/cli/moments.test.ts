import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { momentOption } from '#controller/cli/moments.ts';
import { NsfleetError } from '#shared/errors.ts';

/** Read when a zone is first needed; Node asks again when it is set. */
process.env['TZ'] = 'America/New_York';
const now = new Date('2026-11-23T12:00:00.000Z');
const read = (text: string) => momentOption('--at', text, now);

test('moments: absolute with a zone as they stand, without one local, relative to now', () => {
  const cases: [string, string][] = [
    ['2026-11-20T14:00Z', '2026-11-20T14:00:00.000Z'],
    ['2026-11-20T14:00:05.5+02:00', '2026-11-20T12:00:05.500Z'],
    ['2026-11-20T14:00', '2026-11-20T19:00:00.000Z'],
    ['2026-11-20 14:00:30', '2026-11-20T19:00:30.000Z'],
    ['2026-11-20', '2026-11-20T05:00:00.000Z'],
    ['2026-07-01', '2026-07-01T04:00:00.000Z'],
    ['06:30', '2026-11-23T11:30:00.000Z'],
    ['now', '2026-11-23T12:00:00.000Z'],
    ['today', '2026-11-23T05:00:00.000Z'],
    ['yesterday', '2026-11-22T05:00:00.000Z'],
    ['-2h', '2026-11-23T10:00:00.000Z'],
    ['2h', '2026-11-23T10:00:00.000Z'],
    ['2h ago', '2026-11-23T10:00:00.000Z'],
    ['2 hours ago', '2026-11-23T10:00:00.000Z'],
    ['1h30m', '2026-11-23T10:30:00.000Z'],
    ['-90 minutes', '2026-11-23T10:30:00.000Z'],
    ['3 days 4h ago', '2026-11-20T08:00:00.000Z'],
    ['-1w', '2026-11-16T12:00:00.000Z'],
    [' 30 secs ', '2026-11-23T11:59:30.000Z'],
  ];
  for (const [text, expected] of cases) assert.equal(read(text), expected, text);
});

test('moments: what is none, and what is yet to come, is refused with what to write', () => {
  const none = [
    '',
    'soon',
    '2026-13-01',
    '2026-04-31',
    '2026-11-20T25:00',
    '2026-11-20T14',
    '14',
    '2x',
    '-',
    'ago',
    '1h30',
    '2026-11-20Tx',
    '24:61',
  ];
  for (const text of none) {
    assert.throws(
      () => read(text),
      (error) => error instanceof NsfleetError && error.code === 'USAGE' && error.message.includes(`--at ${text}`.trim()),
      text,
    );
  }
  assert.throws(() => read('2026-11-23T12:05Z'), /yet to come/);
  assert.equal(read('2026-11-23T12:00:30Z'), '2026-11-23T12:00:30.000Z');
});

test('moments: any text is a moment or refused (property)', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'0123456789-:TZhmsd +ago'.split('')), maxLength: 40 })),
      (text) => {
        try {
          assert.ok(Date.parse(read(text)) <= now.getTime() + 60_000);
        } catch (error) {
          assert.ok(error instanceof NsfleetError, String(error));
        }
      },
    ),
  );
});
