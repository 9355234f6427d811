/** The keys on disk: made once, also by two that start together; secret; refused when they are not. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { decode } from '@nats-io/jwt';
import { ensureNatsKeys } from '#controller/credentials/keys.ts';
import { agentUserJwt, createUserKey } from '#controller/credentials/users.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const dirs = temporaryDirectories();
const module = new URL('../../../controller/credentials/keys.ts', import.meta.url).href;

test('the keys are made once, in files that only their owner reads', () => {
  const dir = join(dirs.root, 'once');
  const first = ensureNatsKeys(dir);
  assert.equal(ensureNatsKeys(dir).account, first.account);
  assert.equal(statSync(dir).mode & 0o777, 0o700);
  for (const name of readdirSync(dir)) assert.equal(statSync(join(dir, name)).mode & 0o777, 0o600, name);
});

test('eight that start together end with the same keys and leave nothing beside them', async () => {
  const dir = join(dirs.root, 'race', 'nats');
  const code = `const { ensureNatsKeys } = await import(${JSON.stringify(module)}); console.log(ensureNatsKeys(${JSON.stringify(dir)}).account)`;
  const answers = await Promise.all(Array.from({ length: 8 }, () => output(code)));
  assert.equal(new Set(answers).size, 1, answers.join(' '));
  assert.match(answers[0] ?? '', /^A[A-Z2-7]{55}$/);
  assert.deepEqual(readdirSync(join(dirs.root, 'race')), ['nats']);
});

test('a controller’s file holds no key above its own', () => {
  const dir = join(dirs.root, 'split');
  ensureNatsKeys(dir);
  const operator = JSON.parse(readFileSync(join(dir, 'operator.json'), 'utf8')) as Record<string, string>;
  const account = readFileSync(join(dir, 'account.json'), 'utf8');
  for (const name of ['operator', 'systemAccount', 'account']) assert.ok(!account.includes(operator[name] ?? ''), name);
});

test('a file that others may read, and a damaged one, are refused with a code', () => {
  const dir = join(dirs.root, 'refused');
  ensureNatsKeys(dir);
  const path = join(dir, 'account.json');
  chmodSync(path, 0o644);
  assert.throws(() => ensureNatsKeys(dir), { code: 'CONFIG_INVALID', reason: /0644/ });
  chmodSync(path, 0o600);
  writeFileSync(path, '{"version":1,"account":"A"}');
  assert.throws(() => ensureNatsKeys(dir), { code: 'CONFIG_INVALID', reason: /account.*signer/ });
});

test('a user’s JWT names its account, is signed by the signing key, and allows no responses', async () => {
  const keys = ensureNatsKeys(join(dirs.root, 'claims'));
  const key = createUserKey();
  const claims = decode<Record<string, unknown>>(await agentUserJwt(keys, 'h1', key.publicKey));
  assert.equal(claims.sub, key.publicKey);
  assert.equal(claims.iss, keys.signer.getPublicKey());
  assert.equal(claims.nats['issuer_account'], keys.account);
  assert.equal(claims.nats['resp'], undefined);
  assert.equal(claims.nats['bearer_token'], false);
});

function output(code: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', code], {
      cwd: new URL('../../..', import.meta.url),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    child.on('error', reject);
    child.on('close', () => resolve(text.trim()));
  });
}
