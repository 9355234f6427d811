/** Archives as they come: plain, gzip or zstd, which their first bytes tell. */
import { PassThrough, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';

const gzipMagic = Buffer.from([0x1f, 0x8b]);
const zstdMagic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** The content of `source`. An error of it, or of the compression, is thrown where it is read. */
export async function* decompressed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let length = 0;
  while (length < zstdMagic.length) {
    const next = await iterator.next();
    if (next.done === true) break;
    first.push(next.value);
    length += next.value.length;
  }
  const whole = (async function* () {
    yield* first;
    yield* { [Symbol.asyncIterator]: () => iterator };
  })();
  const start = Buffer.concat(first);
  const starts = (magic: Buffer): boolean => start.subarray(0, magic.length).equals(magic);
  const transform = starts(gzipMagic) ? createGunzip() : starts(zstdMagic) ? createZstdDecompress() : null;
  if (transform === null) {
    yield* whole;
    return;
  }
  const out = new PassThrough();
  const piping = pipeline(Readable.from(whole), transform, out);
  // Whoever reads hears of it; whoever stopped reading need not.
  piping.catch(() => undefined);
  try {
    yield* out as AsyncIterable<Uint8Array>;
    await piping;
  } finally {
    out.destroy();
  }
}
