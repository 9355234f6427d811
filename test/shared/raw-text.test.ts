import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RawText, printableRaw, rawBytes, rawText } from '#shared/raw-text.ts';

test('bytes come back exactly, and what is made can be kept anywhere', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.array(fc.nat(0x10_ffff), { maxLength: 32 }).map((codes) => new Uint8Array(Buffer.from(String.fromCodePoint(...codes)))),
    fc.constantFrom('\\', '\\x41', '\\\\xff', 'a\u0000b', '\u001b[2J\n').map((text) => new Uint8Array(Buffer.from(text))),
  );
  fc.assert(
    fc.property(bytes, (given) => {
      const text = rawText(given);
      assert.equal(RawText.parse(text), text);
      assert.deepEqual(Buffer.from(rawBytes(text)), Buffer.from(given));
      // What Postgres and JSON do with it.
      assert.equal(JSON.parse(JSON.stringify(text)), text);
    }),
  );
});

test('readable where it can be, exact where it cannot', () => {
  const of = (bytes: number[]) => rawText(Uint8Array.from(bytes));
  assert.equal(rawText(Buffer.from('a) R 1 (\n\u001b[31m ü 漢')), 'a) R 1 (\n\u001b[31m ü 漢');
  assert.equal(of([0x61, 0xff, 0x62]), 'a\\xffb');
  assert.equal(of([0x00, 0x5c]), '\\x00\\\\');
  assert.equal(of([0xed, 0xa0, 0x80]), '\\xed\\xa0\\x80', 'a surrogate is no UTF-8');
  assert.equal(rawText(Buffer.from('aü'), 2), 'a\\xc3', 'a character cut in two');
  const seen = (bytes: string) => printableRaw(rawText(Buffer.from(bytes, 'latin1')));
  assert.equal(seen('C:\\dir\xff\x1b'), 'C:\\dir\\xff\\x1b');
  assert.equal(seen('C:\\xff'), 'C:\\x5cxff', 'written so, it is no byte');
});

test('what is no raw text is refused', () => {
  for (const text of ['\0', '\ud800', 'x'.repeat(4 * 4096 + 1)]) assert.equal(RawText.safeParse(text).success, false);
});
