/** Bytes of a stream by count instead of by chunk. */
import { ArchiveError } from './refusal.ts';

export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #seek: (count: number) => number;
  #chunk: Buffer = Buffer.alloc(0);

  /** `seek`: passes over so many bytes that were not read yet, as far as it can, and tells how many. */
  constructor(source: AsyncIterable<Uint8Array>, seek: (count: number) => number = () => 0) {
    this.#source = source[Symbol.asyncIterator]();
    this.#seek = seek;
  }

  /** Bytes that came from the source and were not asked for yet. */
  get buffered(): number {
    return this.#chunk.length;
  }

  /** False at the end. */
  async #fill(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const next = await this.#source.next();
      if (next.done === true) return false;
      this.#chunk = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
    }
    return true;
  }

  /** So many bytes, or null where the stream ends before the first of them. Throws where it ends within. */
  async take(count: number): Promise<Buffer | null> {
    if (this.#chunk.length >= count) return this.#cut(count);
    const parts: Buffer[] = [];
    for (let missing = count; missing > 0;) {
      if (!(await this.#fill())) {
        if (missing === count) return null;
        throw truncated();
      }
      const part = this.#cut(Math.min(missing, this.#chunk.length));
      parts.push(part);
      missing -= part.length;
    }
    return Buffer.concat(parts);
  }

  /** So many bytes. */
  async need(count: number): Promise<Buffer> {
    const bytes = await this.take(count);
    if (bytes === null && count > 0) throw truncated();
    return bytes ?? Buffer.alloc(0);
  }

  /** So many bytes as they come, none of them copied. */
  async *chunks(count: number): AsyncGenerator<Buffer> {
    for (let missing = count; missing > 0;) {
      if (!(await this.#fill())) throw truncated();
      const part = this.#cut(Math.min(missing, this.#chunk.length));
      missing -= part.length;
      yield part;
    }
  }

  async skip(count: number): Promise<void> {
    const here = Math.min(count, this.#chunk.length);
    this.#cut(here);
    const passed = this.#seek(count - here);
    for await (const _ of this.chunks(count - here - passed));
  }

  /** Reads to the end. */
  async drain(): Promise<void> {
    while (await this.#fill()) this.#chunk = Buffer.alloc(0);
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }

  #cut(count: number): Buffer {
    const part = this.#chunk.subarray(0, count);
    this.#chunk = this.#chunk.subarray(count);
    return part;
  }
}

function truncated(): ArchiveError {
  return new ArchiveError('read', 'it ends in the middle of an entry');
}
