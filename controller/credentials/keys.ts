/**
 * The keys of NATS's decentralised JWT authentication, made once and kept in one directory of mode 0700:
 * - `operator.json`: seeds of the operator, the system account and the account. Needed only to write a server's configuration; in
 *   production it stays off the controllers and off the NATS hosts.
 * - `account.json`: the account's public key and the seed of its signing key. All that a controller needs to admit a host.
 */
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createAccount, createOperator, fromSeed } from '@nats-io/nkeys';
import type { KeyPair } from '@nats-io/nkeys';
import { z } from 'zod';
import { makeDirectory } from '#controller/make-directory.mjs';
import { NsfleetError, errorText, issuesText } from '#shared/errors.ts';

const seed = (prefix: string) => z.string().regex(new RegExp(`^S${prefix}[A-Z2-7]{56}$`), `an nkey seed S${prefix}…`);
const publicKey = (prefix: string) => z.string().regex(new RegExp(`^${prefix}[A-Z2-7]{55}$`), `a public nkey ${prefix}…`);

const OperatorFile = z.object({ version: z.literal(1), operator: seed('O'), systemAccount: seed('A'), account: seed('A') });
const AccountFile = z.object({ version: z.literal(1), account: publicKey('A'), signer: seed('A') });

/** What signs users: all that a controller has. */
export type AccountKeys = { account: string; signer: KeyPair };
/** What signs accounts and the operator's own description: only for the server's configuration. */
export type OperatorKeys = { operator: KeyPair; systemAccount: KeyPair; account: KeyPair };
export type NatsKeys = { dir: string } & AccountKeys;

/**
 * The account's keys in `dir`; all keys are made first where the directory does not exist. Two that start together end with the
 * same keys: a complete directory is renamed into place, and the later one reads the earlier one's.
 * CONFIG_INVALID where a file is damaged, or readable for others.
 */
export function ensureNatsKeys(dir: string): NatsKeys {
  try {
    return readNatsKeys(dir);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  makeKeys(dir);
  return readNatsKeys(dir);
}

/** The account's keys in `dir`, which must be there already: for a controller in production. */
export function readNatsKeys(dir: string): NatsKeys {
  const file = readSecret(join(dir, 'account.json'), AccountFile);
  return { dir, account: file.account, signer: keyPair(file.signer) };
}

/** The operator's keys, from the same directory. */
export function readOperatorKeys(dir: string): OperatorKeys {
  const file = readSecret(join(dir, 'operator.json'), OperatorFile);
  return { operator: keyPair(file.operator), systemAccount: keyPair(file.systemAccount), account: keyPair(file.account) };
}

function makeKeys(dir: string): void {
  const account = createAccount();
  const staging = stagingBeside(dir);
  try {
    writeSecret(join(staging, 'operator.json'), {
      version: 1,
      operator: seedText(createOperator()),
      systemAccount: seedText(createAccount()),
      account: seedText(account),
    });
    writeSecret(join(staging, 'account.json'), { version: 1, account: account.getPublicKey(), signer: seedText(createAccount()) });
    renameSync(staging, dir);
  } catch (error) {
    rmSync(staging, { recursive: true, force: true });
    const code = (error as NodeJS.ErrnoException).code;
    // Somebody else was faster: theirs count.
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
}

function stagingBeside(dir: string): string {
  try {
    makeDirectory(dirname(dir));
    return mkdtempSync(`${dir}.new-`);
  } catch (cause) {
    throw new NsfleetError('CONFIG_INVALID', { attempted: 'make the NATS keys in', target: dir, reason: errorText(cause), cause });
  }
}

function readSecret<T>(path: string, model: z.ZodType<T>): T {
  const invalid = (reason: string, cause?: unknown) =>
    new NsfleetError('CONFIG_INVALID', { attempted: 'read the NATS keys in', target: path, reason, cause });
  let text: string;
  try {
    const mode = statSync(path).mode & 0o777;
    if ((mode & 0o077) !== 0) throw invalid(`mode ${mode.toString(8).padStart(4, '0')} lets others read it; chmod 600`);
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw error instanceof NsfleetError ? error : invalid(errorText(error), error);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid('not JSON', error);
  }
  const parsed = model.safeParse(value);
  if (!parsed.success) throw invalid(issuesText(parsed.error.issues));
  return parsed.data;
}

function isMissing(error: unknown): boolean {
  return error instanceof NsfleetError && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}

function writeSecret(path: string, value: unknown): void {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600, flag: 'wx', flush: true });
}

function seedText(pair: KeyPair): string {
  return new TextDecoder().decode(pair.getSeed());
}

function keyPair(seed: string): KeyPair {
  return fromSeed(new TextEncoder().encode(seed));
}
