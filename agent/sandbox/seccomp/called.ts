/** What a sandbox with the profile `log` called, as its shim wrote it down, and which profile that would do with. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NsfleetError, errorText } from '#shared/errors.ts';
import type { CalledReport } from '#shared/seccomp.ts';
import { calls } from './calls.ts';
import type { Architecture } from './calls.ts';
import { decide } from './decide.ts';
import { architectureHere, profiles } from './filter.ts';

type Called = { number: number; args: bigint[] };

/** SANDBOX_NOT_LOGGED where the sandbox had another profile, or the file cannot be read. `directory` is the placement's. */
export async function readCalled(directory: string, profile: string, name: string): Promise<CalledReport> {
  const refuse = (reason: string, cause?: unknown) =>
    new NsfleetError('SANDBOX_NOT_LOGGED', { attempted: 'tell calls', target: name, reason, cause });
  if (profile !== 'log') throw refuse(`its profile is ${profile}`);
  try {
    return reportOf(parseCalled(await readFile(join(directory, 'calls'), 'utf8')), architectureHere());
  } catch (error) {
    throw error instanceof NsfleetError ? error : refuse(errorText(error), error);
  }
}

/** A last line that is not whole is left out: it is being written. */
export function parseCalled(text: string): Called[] {
  return [...text.matchAll(/^(\d{1,4}) (\d{1,10}) (\d{1,10}) (\d{1,10})\n/gm)].map(([, number, ...args]) => ({
    number: Number(number),
    args: args.map((arg) => BigInt(arg)),
  }));
}

export function reportOf(called: readonly Called[], architecture: Architecture): CalledReport {
  const names = new Map([...calls[architecture]].map(([name, number]) => [number, name]));
  const nameOf = (number: number): string => names.get(number) ?? `#${number}`;
  const unique = (words: string[]): string[] => [...new Set(words)].toSorted();
  const refused = Object.fromEntries(
    Object.entries(profiles).map(([name, profile]) => [
      name,
      unique(
        called
          .filter(({ number, args }) => decide(profile, names.get(number) ?? null, args) === 'EPERM')
          .map(({ number, args }) => (args.some((arg) => arg !== 0n) ? `${nameOf(number)}(${args.join(', ')})` : nameOf(number))),
      ),
    ]),
  ) as CalledReport['refused'];
  const enough = Object.keys(profiles).find((name) => refused[name as keyof typeof refused].length === 0);
  return {
    calls: unique(called.map(({ number }) => nameOf(number))),
    refused,
    suggestion: (enough ?? 'none') as CalledReport['suggestion'],
  };
}
