/** Structured logs on standard error, one JSON object a line. */
import pino from 'pino';
import type { Logger } from 'pino';

export type Log = Logger;

/** Where a secret could slip into a log line by its field name, it is cut. */
const secretFields = [
  'token',
  'password',
  'seed',
  'jwt',
  'credentials',
  'authorization',
  'env',
  '*.token',
  '*.password',
  '*.seed',
  '*.env',
  'req.headers.authorization',
];

/** `createLog('agent', 'info')`: `level` is pino's (trace, debug, info, warn, error, fatal, silent). */
export function createLog(part: string, level: string): Log {
  return pino(
    {
      name: part,
      level,
      base: { part },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: secretFields, censor: '[cut]' },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}
