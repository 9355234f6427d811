/** Mutations of a corpus by a seed, for parsers in TypeScript: changed bytes, cuts, doublings, words that parsers care for, and crossings. */

/** xorshift32: the same in every run, and fast. */
export function createDraw(seed: number): (below: number) => number {
  let state = (seed * 2 + 1) | 0;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return below === 0 ? 0 : (state >>> 0) % below;
  };
}

/** The kernel gives no more at once of what is read here. */
const inputMax = 65_536;
const words = [
  ' ',
  '\n',
  '\t',
  ':',
  '::',
  '/',
  '/../',
  ' - ',
  ')',
  '(',
  '\\040',
  '\\777',
  '\\x2d',
  '\\\\',
  '-1',
  '0',
  '1e3',
  '0x10',
  '4294967295',
  '9007199254740993',
  '99999999999999999999',
  '/kubepods',
  '/pod',
  '.service',
  '.scope',
  'docker-',
  'NSpid:\t1',
  'monotonic 0 0',
  '\0',
  '\u001b[2J',
  'ü',
  '😀',
].map((word) => Buffer.from(word));
const high = Buffer.from([0xff, 0x80, 0xed, 0xa0, 0xc3]);

/** One of `corpus`, changed one to six times. */
export function mutated(corpus: readonly Buffer[], draw: (below: number) => number): Buffer {
  const one = (): Buffer => corpus[draw(corpus.length)] ?? Buffer.alloc(0);
  let bytes: Buffer = Buffer.from(one());
  for (let changes = 1 + draw(6); changes > 0; changes -= 1) bytes = change(bytes, one(), draw).subarray(0, inputMax);
  return bytes;
}

function change(bytes: Buffer, other: Buffer, draw: (below: number) => number): Buffer {
  const at = draw(bytes.length + 1);
  const end = Math.min(bytes.length, at + 1 + draw(draw(4) === 0 ? 256 : 8));
  const [before, middle, after] = [bytes.subarray(0, at), bytes.subarray(at, end), bytes.subarray(end)];
  switch (draw(8)) {
    case 0:
      return Buffer.concat([before, middle.map(() => draw(256)), after]);
    case 1:
      return Buffer.concat([before, after]);
    case 2:
      return draw(4) === 0 ? before : bytes;
    case 3:
      return Buffer.concat([before, middle, middle, after]);
    case 4:
      return Buffer.concat([before, words[draw(words.length)] ?? middle, bytes.subarray(at)]);
    case 5:
      return Buffer.concat([before, other.subarray(draw(other.length + 1))]);
    case 6:
      return Buffer.concat([before, high.subarray(draw(high.length)), bytes.subarray(at)]);
    default:
      // What takes more than linear time must meet long inputs.
      return draw(16) === 0 ? Buffer.concat(Array.from({ length: 16 }, () => bytes)) : bytes;
  }
}
