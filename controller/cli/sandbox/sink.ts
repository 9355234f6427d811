/** Where a command's output goes: straight on, or as lines of JSON. */
import { once } from 'node:events';
import { StringDecoder } from 'node:string_decoder';
import { printableJson } from '#shared/escape.ts';
import type { Output, Session } from '../session.ts';
import type { Sink } from './stream.ts';

/** stdout to stdout, stderr to stderr, byte for byte. */
export function rawSink(stdout: Output, stderr: Output): Sink {
  return (channel, data) => writeAll(channel === 'stdout' ? stdout : stderr, data);
}

/** Lines `{"stream": "stdout", "text": "…"}` on standard output; a character is never cut in two. */
export function jsonSink({ stdout }: Session): Sink {
  const decoders = { stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8') };
  return (stream, data) => {
    const text = decoders[stream].write(Buffer.from(data));
    return text === '' ? Promise.resolve() : writeAll(stdout, `${printableJson({ stream, text }, 0)}\n`);
  };
}

/** Resolves when the stream has taken the data, or can take more. Rejects where it was closed. */
async function writeAll(stream: Output, data: Uint8Array | string): Promise<void> {
  if (stream.write(data)) return;
  await once(stream, 'drain');
}
