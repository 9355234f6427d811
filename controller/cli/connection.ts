/** Finds the controller to talk to: the one that was named, else the stack that runs under this user's XDG directories. */
import { readFileSync } from 'node:fs';
import { createClient } from '#shared/client.ts';
import type { Client } from '#shared/client.ts';
import { directories, stackFile } from '#shared/config.ts';
import { NsfleetError, errorText, issuesText } from '#shared/errors.ts';
import { Stack } from '#shared/stack.ts';
import type { Session } from './session.ts';

export type Connection = { client: Client; api: string; token: string };

/** Reads files and opens nothing. Throws NOT_RUNNING, TOKEN_MISSING, TOKEN_WRONG, USAGE, CONFIG_INVALID. */
export function connect(session: Session): Connection {
  const { api, tokenFile } = target(session);
  const token = readToken(tokenFile);
  return { client: createClient(api, token), api, token };
}

function target(session: Session): { api: string; tokenFile: string } {
  if (session.api === undefined) {
    const stack = readStack(session);
    return { api: stack.api, tokenFile: session.tokenFile ?? stack.tokenFile };
  }
  const api = apiAddress(session.api);
  if (session.tokenFile !== undefined) return { api, tokenFile: session.tokenFile };
  // The local stack's token goes to the local stack and to nobody else.
  const stack = runningStack(session);
  if (stack !== null && new URL(stack.api).origin === api) return { api, tokenFile: stack.tokenFile };
  throw new NsfleetError('TOKEN_MISSING', {
    attempted: 'call',
    target: api,
    reason: 'no token file was given for this address',
    remedy: 'name the file that holds its API token with --token-file or NSFLEET_TOKEN_FILE',
  });
}

function apiAddress(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && (url.protocol === 'http:' || url.protocol === 'https:')) return url.origin;
  throw new NsfleetError('USAGE', {
    attempted: 'use the API address',
    target: text,
    reason: 'not an http or https address',
    remedy: 'write it like http://127.0.0.1:4000',
  });
}

function runningStack(session: Session): Stack | null {
  try {
    return readStack(session);
  } catch {
    return null;
  }
}

function readStack(session: Session): Stack {
  const file = stackFile(directories(session.env));
  const attempted = 'find a running stack in';
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    const absent = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const reason = absent ? 'there is no such file, so no stack runs under these XDG directories' : errorText(cause);
    throw new NsfleetError('NOT_RUNNING', { attempted, target: file, reason, cause });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new NsfleetError('CONFIG_INVALID', {
      attempted,
      target: file,
      reason: 'not JSON',
      remedy: 'stop the stack, start it again',
      cause,
    });
  }
  const parsed = Stack.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new NsfleetError('CONFIG_INVALID', { attempted, target: file, reason: issuesText(parsed.error.issues) });
}

function readToken(file: string): string {
  let token: string;
  try {
    token = readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new NsfleetError('TOKEN_MISSING', { attempted: 'read the API token from', target: file, reason: errorText(cause), cause });
  }
  if (/^[\x21-\x7e]{1,1024}$/.test(token)) return token;
  const reason = token === '' ? 'the file is empty' : 'the file does not hold one word of printable ASCII';
  throw new NsfleetError(token === '' ? 'TOKEN_MISSING' : 'TOKEN_WRONG', { attempted: 'read the API token from', target: file, reason });
}
