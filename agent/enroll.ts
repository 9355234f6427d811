/** Makes this host known to a controller. The key pair is made here; its seed never leaves this host. */
import { hostname } from 'node:os';
import { randomUUID } from 'node:crypto';
import { chmod, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fmtCreds } from '@nats-io/jwt';
import { createUser, fromSeed } from '@nats-io/nkeys';
import type { KeyPair } from '@nats-io/nkeys';
import { createClient } from '#shared/client.ts';
import type { Environment } from '#shared/config.ts';
import { NsfleetError, errorText } from '#shared/errors.ts';
import { agentFiles } from './config.ts';
import type { Enrolment } from './config.ts';
import { readIfThere, stateUnusable, writeDurably } from './durable-file.ts';
import { makeDirectory } from './make-directory.ts';

export type EnrollOptions = { api: string; tokenFile: string; id?: string | undefined; name?: string | undefined };

/**
 * Posts the public key and the host's id to the controller at `api` and writes the credentials (0600) and the enrolment. The seed is
 * written before it is used, so that a lost answer can be asked for again with the same key.
 */
export async function enroll(env: Environment, options: EnrollOptions): Promise<Enrolment & { credentials: string }> {
  const files = agentFiles(env);
  const seedFile = `${files.credentials}.seed`;
  for (const file of [files.credentials, files.enrolment]) ensureParent(file);
  const user = await ownKey(seedFile);
  const client = createClient(options.api, await readToken(options.tokenFile));
  const name = options.name ?? hostname();
  const reply = await client.call('hostEnroll', { body: { id: options.id ?? randomUUID(), name, publicKey: user.getPublicKey() } });
  const enrolment: Enrolment = { hostId: reply.host.id, name: reply.host.name, natsUrl: reply.natsUrl };
  await writeDurably(files.credentials, fmtCreds(reply.jwt, user));
  await chmod(files.credentials, 0o600);
  await writeDurably(files.enrolment, `${JSON.stringify(enrolment, null, 2)}\n`);
  await rm(seedFile, { force: true });
  return { ...enrolment, credentials: files.credentials };
}

function ensureParent(file: string): void {
  try {
    makeDirectory(dirname(file));
  } catch (cause) {
    throw stateUnusable('make directory', dirname(file), cause);
  }
}

async function ownKey(seedFile: string): Promise<KeyPair> {
  const seed = await readIfThere(seedFile);
  if (seed !== null) return fromSeed(seed);
  const user = createUser();
  await writeDurably(seedFile, user.getSeed());
  return user;
}

async function readToken(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    throw new NsfleetError('CONFIG_INVALID', { attempted: 'read the API token in', target: path, reason: errorText(cause), cause });
  }
}
