/**
 * Which requests have made what is kept under a name: a line each beside its files, gone with the last of them. So a repeat is known also by an agent
 * that was restarted, and a key that comes again with another request is, too.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync, rmSync, rmdirSync } from 'node:fs';
import { KeptType } from '#shared/act.ts';
import type { KeepRequest } from '#shared/act.ts';
import { NsfleetError } from '#shared/errors.ts';
import { keptPath, namesIn } from './kept-files.ts';
import type { KeptDirectories } from './kept-files.ts';

/** Whether the request with this key has been done. IDEMPOTENCY_KEY_REUSED where the key was that of another one. */
export function isRepeat(directories: KeptDirectories, request: KeepRequest, requestKey: string): boolean {
  for (const name of namesIn(directories.others)) {
    const line = readNote(directories, name).find((each) => each.startsWith(`${requestKey} `));
    if (line === undefined) continue;
    if (line === lineOf(request, requestKey)) return true;
    throw new NsfleetError('IDEMPOTENCY_KEY_REUSED', {
      attempted: 'create namespaces',
      target: request.name,
      reason: `its Idempotency-Key has already made ${name} by another request`,
    });
  }
  return false;
}

export function noteRequest(directories: KeptDirectories, request: KeepRequest, requestKey: string): void {
  appendFileSync(notePath(directories, request.name), `${lineOf(request, requestKey)}\n`, { mode: 0o600 });
}

/** Forgets the requests of a name under which nothing is kept any more. */
export function forgetName(directories: KeptDirectories, name: string): void {
  if (KeptType.options.some((type) => existsSync(keptPath(directories, name, type)))) return;
  rmSync(notePath(directories, name), { force: true });
  try {
    rmdirSync(`${directories.others}/${name}`);
  } catch {
    // Somebody else keeps something there.
  }
}

function readNote(directories: KeptDirectories, name: string): string[] {
  try {
    return readFileSync(notePath(directories, name), 'utf8').split('\n');
  } catch {
    return [];
  }
}

function lineOf({ name, types }: KeepRequest, requestKey: string): string {
  const whole = JSON.stringify({ name, types: types.toSorted() });
  return `${requestKey} ${createHash('sha256').update(whole).digest('hex')}`;
}

function notePath({ others }: KeptDirectories, name: string): string {
  return `${others}/${name}/request`;
}
