/** NATS users: a JWT signed with the account's signing key for a key pair whose seed only its owner has. */
import { encodeUser, fmtCreds } from '@nats-io/jwt';
import { createUser, fromPublic, fromSeed } from '@nats-io/nkeys';
import type { KeyPair } from '@nats-io/nkeys';
import { NsfleetError } from '#shared/errors.ts';
import { agentPermissions, controllerPermissions } from './permissions.ts';
import type { Permissions } from './permissions.ts';
import type { AccountKeys } from './keys.ts';
import { payloadMaxBytes } from './server-config.ts';

/** An agent holds three subscriptions and one for each open stream; this stops one that opens them in a loop. */
const agentSubscriptionsMax = 4096;

/** A credentials file (JWT and seed) for one start of a controller. Every call makes a new user. */
export async function controllerCredentials(keys: AccountKeys): Promise<string> {
  const user = createUser();
  return credentials(await userJwt(keys, 'controller', user, controllerPermissions(), -1), user);
}

/**
 * The JWT that admits host `hostId` with the key pair whose public part is `publicKey` (`U…`). INVALID_INPUT for an id that is no
 * subject token or a key that is none.
 */
export async function agentUserJwt(keys: AccountKeys, hostId: string, publicKey: string): Promise<string> {
  const permissions = agentPermissions(hostId);
  return userJwt(keys, `agent ${hostId}`, publicUser(publicKey), permissions, agentSubscriptionsMax);
}

/** A new user key pair, `seed` (secret, `SU…`) and `publicKey`: an agent makes its own and keeps the seed. */
export function createUserKey(): { seed: string; publicKey: string } {
  const pair = createUser();
  return { seed: new TextDecoder().decode(pair.getSeed()), publicKey: pair.getPublicKey() };
}

/** The text of a credentials file. `seed` is `SU…`. */
export function credentialsText(jwt: string, seed: string): string {
  return credentials(jwt, fromSeed(new TextEncoder().encode(seed)));
}

function credentials(jwt: string, user: KeyPair): string {
  return new TextDecoder().decode(fmtCreds(jwt, user));
}

async function userJwt(keys: AccountKeys, name: string, user: KeyPair, permissions: Permissions, subs: number): Promise<string> {
  const claims = {
    ...permissions,
    subs,
    payload: payloadMaxBytes,
    data: -1,
    bearer_token: false,
    allowed_connection_types: ['STANDARD' as const],
  };
  return encodeUser(name, user, fromPublic(keys.account), claims, { signer: keys.signer });
}

function publicUser(publicKey: string): KeyPair {
  try {
    if (/^U[A-Z2-7]{55}$/.test(publicKey)) return fromPublic(publicKey);
  } catch {
    // a wrong checksum: told below
  }
  throw new NsfleetError('INVALID_INPUT', {
    attempted: 'sign NATS credentials for',
    target: publicKey.slice(0, 64),
    reason: 'not a public user nkey (U and 55 characters of base32)',
  });
}
