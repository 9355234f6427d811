/** Lines that tell what is going on, each with the seconds since the start. */

export type Say = (line: string) => void;

/** `say('postgres ready')` writes ` 0.8s  postgres ready` to `stream`. */
export function progress(stream: NodeJS.WritableStream, startedAt = performance.now()): Say {
  return (line) => {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    stream.write(`${`${seconds}s`.padStart(6)}  ${line}\n`);
  };
}
