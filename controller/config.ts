/** The controller's settings, from the environment. Every default is here; paths default to the XDG directories. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { directories, readSettings } from '#shared/config.ts';
import type { Environment } from '#shared/config.ts';
import { NsfleetError, errorText } from '#shared/errors.ts';
import { defaultLeakSettings, readLeakSettings } from './leaks/settings.ts';
import type { LeakSettings } from './leaks/settings.ts';

const defaultListen = '127.0.0.1:4180';
const defaultNatsUrl = 'nats://127.0.0.1:4222';

/** `127.0.0.1:4180`, `[::1]:0`, `localhost:80`. */
const Listen = z.string().transform((text, context) => {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match !== null && port <= 65_535) return { host: match[1] ?? match[2] ?? '', port };
  context.addIssue({ code: 'custom', message: 'not <address>:<port>, with port 0 to 65535' });
  return z.NEVER;
});

const Settings = z
  .object({
    DATABASE_URL: z.string().optional(),
    NSFLEET_DATABASE_URL_FILE: z.string().optional(),
    NATS_URL: z.string().default(defaultNatsUrl),
    NSFLEET_NATS_KEYS: z.string().optional(),
    NSFLEET_API_LISTEN: Listen.prefault(defaultListen),
    NSFLEET_API_ADDRESS_FILE: z.string().optional(),
    NSFLEET_API_TOKEN_FILE: z.string().optional(),
    NSFLEET_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
    NSFLEET_RETENTION_DAYS: z.coerce.number().int().min(1).max(3650).default(30),
    NSFLEET_LEAK_RULES: z.string().optional(),
    NSFLEET_ALLOW_OLD_NATS: z.enum(['0', '1']).default('0'),
  })
  .refine((given) => given.DATABASE_URL !== undefined || given.NSFLEET_DATABASE_URL_FILE !== undefined, {
    path: ['DATABASE_URL'],
    message: 'neither it nor NSFLEET_DATABASE_URL_FILE is set: which Postgres?',
  });

export type ControllerConfig = {
  /** Secret: it may hold a password. */
  databaseUrl: string;
  natsUrl: string;
  /** Directory of the NATS account's keys. */
  natsKeys: string;
  listen: { host: string; port: number };
  /** Where to write the address that is served, once it is. */
  addressFile: string | null;
  tokenFile: string;
  logLevel: string;
  allowOldNats: boolean;
  /** How long the past is kept: namespaces that ended, events, leaks that were cleared. */
  retentionDays: number;
  leakSettings: LeakSettings;
};

/** CONFIG_INVALID names each variable that is wrong. */
export function readConfig(env: Environment): ControllerConfig {
  const given = readSettings(Settings, env, 'nsfleet controller');
  // Only where a default is needed: a service with all paths given needs no HOME.
  const inConfig = (name: string) => join(directories(env).config, name);
  return {
    databaseUrl: given.DATABASE_URL ?? readUrlFile(given.NSFLEET_DATABASE_URL_FILE ?? ''),
    natsUrl: given.NATS_URL,
    natsKeys: given.NSFLEET_NATS_KEYS ?? inConfig('nats'),
    listen: given.NSFLEET_API_LISTEN,
    addressFile: given.NSFLEET_API_ADDRESS_FILE ?? null,
    tokenFile: given.NSFLEET_API_TOKEN_FILE ?? inConfig('api-token'),
    logLevel: given.NSFLEET_LOG_LEVEL,
    allowOldNats: given.NSFLEET_ALLOW_OLD_NATS === '1',
    retentionDays: given.NSFLEET_RETENTION_DAYS,
    leakSettings: given.NSFLEET_LEAK_RULES === undefined ? defaultLeakSettings : readLeakSettings(given.NSFLEET_LEAK_RULES),
  };
}

/** A file, so that the password stands neither in the environment nor in argv. */
function readUrlFile(path: string): string {
  const invalid = (reason: string, cause?: unknown) =>
    new NsfleetError('CONFIG_INVALID', { attempted: 'read the database URL in', target: path, reason, cause });
  let text: string;
  let mode: number;
  try {
    mode = statSync(path).mode & 0o777;
    text = readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw invalid(errorText(error), error);
  }
  if ((mode & 0o077) !== 0) throw invalid(`mode ${mode.toString(8).padStart(4, '0')} lets others read it; chmod 600`);
  if (text === '') throw invalid('it is empty');
  return text;
}
