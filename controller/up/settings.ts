/** What `npm start` is told: its arguments, and the environment that concerns it. */
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { directories, readSettings, stackFile } from '#shared/config.ts';
import type { Directories, Environment } from '#shared/config.ts';
import { NsfleetError, errorText } from '#shared/errors.ts';

const Variables = z.object({
  DATABASE_URL: z.string().optional(),
  NATS_URL: z.string().optional(),
  NSFLEET_API_LISTEN: z
    .string()
    .regex(/^.+:[0-9]{1,5}$/, 'address:port')
    .default('127.0.0.1:0'),
  NSFLEET_HOST_NAME: z.string().min(1).max(253).default(hostname),
});

export type UpSettings = {
  /** Stop again when all is shown. */
  once: boolean;
  databaseUrl: string | undefined;
  natsUrl: string | undefined;
  apiListen: string;
  hostName: string;
  dirs: Directories;
  files: UpFiles;
};

/** Where the stack keeps what its parts are told by file. */
export type UpFiles = {
  stack: string;
  /** mode 0600 */
  token: string;
  natsKeys: string;
  hostId: string;
  agentCredentials: string;
  postgresPassword: string;
  /** gone after a stop; mode 0600 */
  databaseUrl: string;
  apiAddress: string;
  agentState: string;
  logs: string;
};

/** USAGE or CONFIG_INVALID where something is wrong with either. */
export function readUpSettings(args: readonly string[], env: Environment): UpSettings {
  const once = readOnce(args);
  const given = readSettings(Variables, env, 'npm start');
  const dirs = directories(env);
  return {
    once,
    databaseUrl: given.DATABASE_URL,
    natsUrl: given.NATS_URL,
    apiListen: given.NSFLEET_API_LISTEN,
    hostName: given.NSFLEET_HOST_NAME,
    dirs,
    files: {
      stack: stackFile(dirs),
      token: `${dirs.config}/api-token`,
      natsKeys: `${dirs.config}/nats`,
      hostId: `${dirs.config}/host-id`,
      agentCredentials: `${dirs.config}/agent.creds`,
      postgresPassword: `${dirs.config}/postgres-password`,
      databaseUrl: `${dirs.runtime}/database-url`,
      apiAddress: `${dirs.runtime}/api-address`,
      agentState: `${dirs.state}/agent`,
      logs: `${dirs.state}/log`,
    },
  };
}

function readOnce(args: readonly string[]): boolean {
  try {
    return parseArgs({ args: [...args], options: { once: { type: 'boolean', default: false } } }).values.once;
  } catch (cause) {
    throw new NsfleetError('USAGE', {
      attempted: 'understand',
      target: `npm start -- ${args.join(' ')}`,
      reason: errorText(cause),
      remedy:
        '`npm start -- --once` starts, shows and stops; without arguments it stays in the foreground; `npm start -- --help` tells more',
      cause,
    });
  }
}
