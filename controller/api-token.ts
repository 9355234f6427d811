/** The API's bearer token: one secret in one file of mode 0600. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeDirectory } from '#controller/make-directory.mjs';
import { NsfleetError, errorText } from '#shared/errors.ts';

/** 256 random bits; the prefix lets secret scanners and people see what it is. */
const prefix = 'nsft_';
const tokenPattern = /^[\x21-\x7e]{16,512}$/;

/** The token in `path`, which is made first where it is missing. CONFIG_INVALID where others may read it or it is no token. */
export function ensureApiToken(path: string): string {
  try {
    makeDirectory(dirname(path));
    writeFileSync(path, `${prefix}${randomBytes(32).toString('base64url')}\n`, { mode: 0o600, flag: 'wx', flush: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw invalid(path, errorText(error), error);
  }
  return readApiToken(path);
}

function readApiToken(path: string): string {
  let mode: number;
  let token: string;
  try {
    mode = statSync(path).mode & 0o777;
    token = readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw invalid(path, errorText(error), error);
  }
  if ((mode & 0o077) !== 0) throw invalid(path, `mode ${mode.toString(8).padStart(4, '0')} lets others read it; chmod 600`);
  if (!tokenPattern.test(token)) throw invalid(path, 'it holds no token: 16 to 512 visible characters on one line');
  return token;
}

/** A comparison that takes the same time whatever the guess: both sides are hashed to the same length first. */
export function tokenChecker(token: string): (guess: string) => boolean {
  const expected = sha256(token);
  return (guess) => timingSafeEqual(sha256(guess), expected);
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function invalid(path: string, reason: string, cause?: unknown): NsfleetError {
  return new NsfleetError('CONFIG_INVALID', { attempted: 'read the API token in', target: path, reason, cause });
}
