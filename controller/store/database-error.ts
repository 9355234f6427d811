/**
 * What the database says when it refuses, in the words of the catalogue. drizzle's own error carries the query with its parameters
 * (specs, environments) in its message: nothing of that may reach a log or a reply, so every query passes through here.
 */
import { NsfleetError } from '#shared/errors.ts';
import type { ErrorCode } from '#shared/errors.ts';

/** Codes of PostgreSQL 18, appendix A. */
const serializationFailure = '40001';
const deadlockDetected = '40P01';
const undefinedTable = '42P01';
/** Nothing is wrong with what was asked: the server takes no writes for now, or a lock was not to be had. */
const busy = ['25006', '55P03', serializationFailure, deadlockDetected];

/** No server, no way in, or none for now: names of system calls' errors, and classes 08, 28, 3D, 53, 57 of SQLSTATE. */
const unreachable =
  /^(?:ECONN[A-Z]+|ENOTFOUND|EAI_[A-Z]+|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EPIPE|ENOENT|EACCES|ERR_INVALID_URL|08...|28...|3D000|53...|57...)$/;
/** Class 22: what was sent does not fit its column, such as NUL in text or a number beyond its type. */
const badValue = /^22...$/;

/** The `code` of a database or system error, of the first in the chain of causes that has one. */
export function databaseCode(error: unknown): string | null {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown };
    if (typeof code === 'string' && !(at instanceof NsfleetError)) return code;
  }
  return null;
}

/** The transaction changed nothing and may be run again as it is. */
export function isRetryable(error: unknown): boolean {
  const code = databaseCode(error);
  return code === serializationFailure || code === deadlockDetected;
}

/** `error` as an NsfleetError: DATABASE_UNREACHABLE, INVALID_INPUT, UNAVAILABLE, else INTERNAL. */
export function databaseError(error: unknown, attempted: string, target: string): NsfleetError {
  if (error instanceof NsfleetError) return error;
  const cause = deepest(error);
  const code = databaseCode(error);
  return new NsfleetError(catalogueCode(cause, code), {
    attempted,
    target,
    reason: `${cause.message || 'no answer'}${code === null ? '' : ` (${code})`}`,
    cause,
  });
}

function catalogueCode(cause: Error, code: string | null): ErrorCode {
  if (code !== null && unreachable.test(code)) return 'DATABASE_UNREACHABLE';
  // pg gives these two no code
  if (/^(?:Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/.test(cause.message))
    return 'DATABASE_UNREACHABLE';
  if (code !== null && badValue.test(code)) return 'INVALID_INPUT';
  if (code !== null && busy.includes(code)) return 'UNAVAILABLE';
  if (code === undefinedTable) return 'DATABASE_FOREIGN';
  return 'INTERNAL';
}

function deepest(error: unknown): Error {
  let at = error instanceof Error ? error : new Error(String(error));
  while (at.cause instanceof Error) at = at.cause;
  // several addresses were tried (localhost by IPv6 and IPv4): an AggregateError has no message of its own
  if (at instanceof AggregateError && at.errors[0] instanceof Error) return at.errors[0];
  return at;
}
