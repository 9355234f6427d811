/** Signals to the CLI while it stands for a command that runs elsewhere. */
import type { Reader, SignalSource } from './session.ts';

/** Calls `onSignal` for each of the signals with a count from 1, instead of ending the process; dispose to stop. */
export function hearSignals(
  source: SignalSource,
  signals: readonly NodeJS.Signals[],
  onSignal: (signal: NodeJS.Signals, count: number) => void,
): Disposable {
  let count = 0;
  const listeners = signals.map((signal) => {
    const listener = (): void => {
      count += 1;
      onSignal(signal, count);
    };
    source.on(signal, listener);
    return { signal, listener };
  });
  return {
    [Symbol.dispose]() {
      for (const { signal, listener } of listeners) source.off(signal, listener);
    },
  };
}

/** Calls `onGone` with the exit code that says so when nobody reads the output any more, instead of ending the process; dispose to stop. */
export function whenReaderGone(reader: Reader, onGone: (exitCode: number) => void): Disposable {
  reader.on('gone', onGone);
  return {
    [Symbol.dispose]() {
      reader.off('gone', onGone);
    },
  };
}
