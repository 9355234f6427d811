import { check, errorBuffer } from './native-error.ts';

const ENOSPC = 28;
/** The host may grow while the call is repeated with a larger buffer; beyond this something is wrong. */
const attemptsMax = 10;

export type RowsCall<Rows, Result> = {
  /** Bytes of a buffer for so many rows. */
  bytesOf: (rows: Rows) => number;
  call: (rows: Rows, buffer: Uint8Array, error: Uint8Array) => Promise<number>;
  /** Rows that would have been enough when the call said ENOSPC; 0: enough already. */
  neededOf: (buffer: ArrayBuffer) => Rows;
  decode: (buffer: ArrayBuffer) => Result;
  /** Takes the buffer that was decoded, and gives one that may be used for the next call, if there is one. Default: the same. */
  free?: (buffer: ArrayBuffer) => ArrayBuffer | null;
  /** For the error. */
  attempted: string;
  target: string;
};

/**
 * Repeats calls that fill a buffer with rows as long as those do not fit. Buffers are kept between calls, at most two; calls at the
 * same time get their own.
 */
export function createGrowing<Rows extends Record<string, number>>(first: Rows): <Result>(call: RowsCall<Rows, Result>) => Promise<Result> {
  let limit = { ...first };
  const idle: ArrayBuffer[] = [];
  return async ({ bytesOf, call, neededOf, decode, free = (buffer) => buffer, attempted, target }) => {
    const error = errorBuffer();
    let result = 0;
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const room = limit;
      const buffer = takeBuffer(idle, bytesOf(room));
      result = await call(room, new Uint8Array(buffer), error);
      if (result === -ENOSPC) {
        limit = grow(limit, neededOf(buffer));
        continue;
      }
      check(result, error, attempted, target);
      const decoded = decode(buffer);
      const unused = free(buffer);
      if (unused !== null && idle.length < 2) idle.push(unused);
      return decoded;
    }
    check(result, error, attempted, target);
    throw new Error('unreachable: the last attempt failed with ENOSPC');
  };
}

/** With a quarter more where it was too small: the host may be growing. */
function grow<Rows extends Record<string, number>>(limit: Rows, needed: Rows): Rows {
  const grown = Object.entries(limit).map(([kind, rows]) => [kind, Math.max(rows, Math.ceil((needed[kind] ?? 0) * 1.25))]);
  return Object.fromEntries(grown) as Rows;
}

/** An idle buffer of that size; idle ones of another size, from before it grew, are dropped. */
function takeBuffer(idle: ArrayBuffer[], bytes: number): ArrayBuffer {
  for (let buffer = idle.pop(); buffer !== undefined; buffer = idle.pop()) if (buffer.byteLength === bytes) return buffer;
  return new ArrayBuffer(bytes);
}
