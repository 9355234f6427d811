/** This host's identity and its agent's credentials: made once, kept in the config directory, renewed at every start. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { dirname } from 'node:path';
import { parseCreds } from '@nats-io/jwt';
import { createUserKey, credentialsText } from '#controller/credentials/users.ts';
import { makeDirectory } from '#controller/make-directory.mjs';
import type { Client } from '#shared/client.ts';
import { NsfleetError } from '#shared/errors.ts';
import { HostId } from '#shared/host.ts';

/** The id in `path`, a new uuid where there is none. CONFIG_INVALID for what is no host id. */
export function ensureHostId(path: string): string {
  const present = readOrNull(path);
  if (present === null) {
    const id = randomUUID();
    writeSecretly(path, `${id}\n`);
    return id;
  }
  const parsed = HostId.safeParse(present.trim());
  if (parsed.success) return parsed.data;
  throw new NsfleetError('CONFIG_INVALID', { attempted: 'read the host id in', target: path, reason: 'not 1 to 64 of A-Z a-z 0-9 _ -' });
}

/**
 * Makes this host known to the controller and writes its agent's credentials file. The key pair stays the same from start to start,
 * so that the controller sees the same host; the JWT is signed anew.
 */
export async function enrolHost(
  client: Client,
  host: { id: string; name: string },
  credentialsFile: string,
  signal?: AbortSignal,
): Promise<void> {
  const key = (await keptKey(credentialsFile)) ?? createUserKey();
  const { jwt } = await client.call('hostEnroll', {
    body: { ...host, publicKey: key.publicKey },
    ...(signal === undefined ? {} : { signal }),
  });
  writeSecretly(credentialsFile, credentialsText(jwt, key.seed));
}

async function keptKey(credentialsFile: string): Promise<{ seed: string; publicKey: string } | null> {
  const text = readOrNull(credentialsFile);
  if (text === null) return null;
  try {
    const { key, uc } = await parseCreds(new TextEncoder().encode(text));
    return { seed: key, publicKey: uc.sub };
  } catch (cause) {
    throw new NsfleetError('CONFIG_INVALID', {
      attempted: 'read the agent’s credentials in',
      target: credentialsFile,
      reason: 'not a NATS credentials file',
      remedy: 'move the file away; the next start makes a new one and enrols this host again',
      cause,
    });
  }
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function writeSecretly(path: string, text: string): void {
  makeDirectory(dirname(path));
  const staging = `${path}.new`;
  writeFileSync(staging, text, { mode: 0o600, flush: true });
  renameSync(staging, path);
}
