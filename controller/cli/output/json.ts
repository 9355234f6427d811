/** JSON on standard output: the API's resources as they are. */
import type { Session } from '../session.ts';
import { printableJson } from '#shared/escape.ts';

/** Prints one value, indented. */
export function printJson(session: Session, value: unknown): void {
  session.stdout.write(`${printableJson(value)}\n`);
}

/** Prints one value on one line: for streams, a line for each thing. */
export function printJsonLine(session: Session, value: unknown): void {
  session.stdout.write(`${printableJson(value, 0)}\n`);
}
