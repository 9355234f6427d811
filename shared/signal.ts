/** Signals by the names of signal(7), with the numbers of x86-64 and arm64 (which agree). */
import { z } from 'zod';

export const signalNumbers = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
} as const;

const names = Object.keys(signalNumbers) as (keyof typeof signalNumbers)[];

export const SignalName = z.enum(names);
export type SignalName = keyof typeof signalNumbers;

/** `signalNumber('SIGTERM')` is 15. */
export function signalNumber(name: SignalName): number {
  return signalNumbers[name];
}

/** `signalName(9)` is `SIGKILL`; real-time signals have no name here and come back as `signal 34`. */
export function signalName(number: number): string {
  return names.find((name) => signalNumbers[name] === number) ?? `signal ${number}`;
}

/** What people type (`TERM`, `sigterm`, `15`) as the full name, or null where there is no such signal. */
export function parseSignalName(text: string): SignalName | null {
  const upper = text.trim().toUpperCase();
  if (/^[0-9]+$/.test(upper)) return names.find((name) => signalNumbers[name] === Number(upper)) ?? null;
  const full = upper.startsWith('SIG') ? upper : `SIG${upper}`;
  return names.find((name) => name === full) ?? null;
}
