import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { blockLines, commandText, labelsText } from '#controller/cli/output/block.ts';
import { printable, printableJson } from '#shared/escape.ts';
import { bytesText } from '#controller/cli/output/sizes.ts';
import { printTable, tableLines } from '#controller/cli/output/table.ts';
import { absoluteAndAgo, ago, durationText } from '#controller/cli/output/times.ts';
import { cutToWidth, displayWidth } from '#controller/cli/output/width.ts';

const hostile = fc.string({ unit: 'binary', maxLength: 50 });
// oxlint-disable-next-line eslint/no-control-regex -- what must not get through
const acts = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/;

test('printable text: what a terminal would act on is written out', () => {
  const cases: [string, string][] = [
    ['plain text, ünïcödé 漢字', 'plain text, ünïcödé 漢字'],
    ['a) R 1 (', 'a) R 1 ('],
    ['\u001b[31mred', '\\x1b[31mred'],
    ['two\nlines\ttab\rback', 'two\\x0alines\\x09tab\\x0dback'],
    ['\u009b31m', '\\x9b31m'],
    ['evil\u202egpj.exe', 'evil\\u{202e}gpj.exe'],
    ['zero\u200bwidth', 'zero\\u{200b}width'],
    ['line\u2028separator', 'line\\u{2028}separator'],
    ['lone \ud800 surrogate', 'lone \\u{d800} surrogate'],
    ['a written \\x1b', 'a written \\x5cx1b'],
    ['C:\\dir', 'C:\\dir'],
    ['tag \u{e0041}', 'tag \\u{e0041}'],
  ];
  for (const [text, expected] of cases) assert.equal(printable(text), expected);
});

test('printable text: nothing acts, nothing is lost (property)', () => {
  const back = (text: string) =>
    text.replaceAll(/\\x([0-9a-f]{2})|\\u\{([0-9a-f]+)\}/g, (_, byte?: string, code?: string) =>
      String.fromCodePoint(Number.parseInt(byte ?? code ?? '', 16)),
    );
  fc.assert(
    fc.property(hostile, (text) => {
      assert.doesNotMatch(printable(text), acts);
      assert.equal(back(printable(text)), text);
    }),
  );
});

test('printable JSON: nothing acts but its own line breaks, and it is the same value (property)', () => {
  fc.assert(
    fc.property(fc.dictionary(hostile, fc.oneof(hostile, fc.array(hostile))), (value) => {
      const text = printableJson(value);
      assert.doesNotMatch(text.replaceAll('\n', ''), acts);
      assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
      assert.equal(printableJson(value, 0).includes('\n'), false);
    }),
  );
});

test('width: wide characters take two columns, marks none; a cut says so', () => {
  assert.equal(displayWidth('abc'), 3);
  assert.equal(displayWidth('漢字'), 4);
  assert.equal(displayWidth('e\u0301'), 1);
  assert.equal(displayWidth('🦀'), 2);
  assert.equal(cutToWidth('abcdef', 6), 'abcdef');
  assert.equal(cutToWidth('abcdef', 4), 'abc…');
  assert.equal(cutToWidth('漢字漢字', 4), '漢…');
  assert.equal(cutToWidth('abc', 0), '');
});

test('table: numbers stand right, the last column is not padded, empty is -, hostile text keeps its line', () => {
  const columns = [
    { name: 'ID', align: 'right' as const, cell: (row: { id: number; name: string }) => row.id },
    { name: 'NAME', cell: (row: { id: number; name: string }) => row.name },
    { name: 'LAST', cell: () => null },
  ];
  const rows = [
    { id: 7, name: 'web' },
    { id: 12_345, name: 'a\nb' },
    { id: 1, name: '漢字' },
  ];
  assert.deepEqual(tableLines(columns, rows), ['   ID NAME   LAST', '    7 web    -', '12345 a\\x0ab -', '    1 漢字   -']);
  assert.deepEqual(tableLines(columns, rows, { headings: false }).length, 3);
  assert.deepEqual(tableLines(columns, []), ['ID NAME LAST']);
  for (const line of tableLines(columns, rows, { width: 10 })) assert.ok(displayWidth(line) <= 10, line);
});

test('table: cut to a terminal’s width, whole where there is none or it does not know', () => {
  const long = [{ name: 'COMMAND', cell: () => 'x'.repeat(300) }];
  const printed = (isTTY: boolean, columns: number): string => {
    const stdout = Object.assign(new PassThrough(), { isTTY, columns });
    printTable({ stdout, color: false }, long, [null], { headings: false });
    return String(stdout.read());
  };
  assert.equal(printed(true, 80), `${'x'.repeat(79)}…\n`);
  assert.equal(printed(true, 0).length, 301);
  assert.equal(printed(false, 80).length, 301);
});

test('block: keys are aligned, a list gets a line each', () => {
  assert.deepEqual(
    blockLines([
      ['ID', 'x'],
      ['Holders', ['a', 'b\u001b']],
      ['None', null],
      ['Empty', []],
    ]),
    ['ID:      x', 'Holders: a', '         b\\x1b', 'None:    -', 'Empty:   -'],
  );
});

test('times: as docker words them', () => {
  const second = 1000;
  const hour = 3600 * second;
  const day = 24 * hour;
  const cases: [number, string][] = [
    [0, 'less than a second'],
    [second, '1 second'],
    [59 * second, '59 seconds'],
    [60 * second, 'about a minute'],
    [180 * second, '3 minutes'],
    [hour, 'about an hour'],
    [47 * hour, '47 hours'],
    [3 * day, '3 days'],
    [21 * day, '3 weeks'],
    [90 * day, '3 months'],
    [800 * day, '2 years'],
  ];
  for (const [ms, text] of cases) assert.equal(durationText(ms), text);
  const now = new Date('2026-11-23T12:03:00Z');
  assert.equal(ago('2026-11-23T12:00:00Z', now), '3 minutes ago');
  assert.equal(ago('2026-11-23T12:03:00.500Z', now), 'less than a second ago');
  assert.equal(ago('2026-11-23T12:08:00Z', now), 'in 5 minutes');
  assert.equal(ago(null, now), '');
  assert.equal(absoluteAndAgo('2026-11-23T12:00:00Z', now), '2026-11-23T12:00:00Z (3 minutes ago)');
});

test('sizes, labels, commands', () => {
  assert.deepEqual([0, 1023, 1536, 4 * 1024 ** 3].map(bytesText), ['0B', '1023B', '1.5KiB', '4GiB']);
  assert.equal(labelsText({ app: 'web', gpu: '' }), 'app=web,gpu');
  assert.equal(commandText(['sh', '-c', "echo 'a b'", '']), `sh -c 'echo '\\''a b'\\''' ''`);
});
