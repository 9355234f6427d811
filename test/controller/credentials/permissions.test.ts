/** What an agent's and a controller's credentials allow, asked of a real nats-server; the second witness hears everything. */
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { encodeUser } from '@nats-io/jwt';
import { createUser, fromPublic } from '@nats-io/nkeys';
import fc from 'fast-check';
import { connect, credsAuthenticator, jwtAuthenticator, PermissionViolationError } from 'nats';
import type { NatsConnection } from 'nats';
import { agentPermissions } from '#controller/credentials/permissions.ts';
import { agentUserJwt, createUserKey } from '#controller/credentials/users.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { startTestNats } from '#test/support/nats.ts';
import type { TestNats } from '#test/support/nats.ts';

leakCheck();
const dirs = temporaryDirectories();
let nats: TestNats;
let agent: NatsConnection;
let controller: NatsConnection;
let witness: NatsConnection;

before(async () => {
  nats = fileResources.use(await startTestNats(dirs.root));
  agent = await join(await nats.agentCredentials('h1'));
  fileResources.defer(() => agent.close());
  controller = await join(await nats.controllerCredentials());
  fileResources.defer(() => controller.close());
  const user = createUser();
  const jwt = await encodeUser('witness', user, fromPublic(nats.keys.account), {}, { signer: nats.keys.signer });
  witness = await connect({ servers: nats.url, authenticator: jwtAuthenticator(jwt, user.getSeed()) });
  fileResources.defer(() => witness.close());
});

function join(credentials: string): Promise<NatsConnection> {
  return connect({ servers: nats.url, authenticator: credsAuthenticator(new TextEncoder().encode(credentials)), reconnect: false });
}

/** Resolves with the server's word on a subscription: it refuses at once, or says nothing until it has answered a ping. */
async function mayHear(connection: NatsConnection, subject: string, queue?: string): Promise<boolean> {
  let refusal: unknown;
  const subscription = connection.subscribe(subject, {
    ...(queue === undefined ? {} : { queue }),
    callback: (error) => {
      refusal ??= error;
    },
  });
  await connection.flush();
  subscription.unsubscribe();
  if (refusal) assert.ok(refusal instanceof PermissionViolationError, 'refused for another reason');
  return !refusal;
}

/** Whether the witness hears what `connection` says under `subject`. */
async function maySay(connection: NatsConnection, subject: string): Promise<boolean> {
  let heard = false;
  const subscription = witness.subscribe(subject, {
    callback: () => {
      heard = true;
    },
  });
  await witness.flush();
  connection.publish(subject, 'x');
  await connection.flush();
  await witness.flush();
  subscription.unsubscribe();
  return heard;
}

describe('an agent', () => {
  for (const subject of ['nsf.v1.cmd.h1.do', 'nsf.v1.cmd.h1.>', 'nsf.v1.all.ask', 'nsf.v1.all.>', 'nsf.v1.inbox.h1.a.b']) {
    it(`hears ${subject}`, async () => assert.equal(await mayHear(agent, subject), true));
  }
  const others = [
    'nsf.v1.cmd.h2.do',
    'nsf.v1.cmd.*.do',
    'nsf.v1.evt.h2.beat',
    'nsf.v1.evt.h1.beat',
    'nsf.v1.inbox.h2.x',
    'nsf.v1.evt.h2.res.c.r',
  ];
  const wide = [
    'nsf.v1.>',
    'nsf.>',
    '>',
    '*',
    '*.*.*.*',
    'nsf.v1.cmd.>',
    'nsf.v1.inbox.>',
    '_INBOX.>',
    '_INBOX.a',
    '$SYS.>',
    '$SYS.REQ.USER.INFO',
    '$JS.>',
    '$JS.API.INFO',
  ];
  for (const subject of [...others, ...wide]) {
    it(`does not hear ${subject}, alone or in a queue group`, async () => {
      assert.equal(await mayHear(agent, subject), false);
      assert.equal(await mayHear(agent, subject, 'controllers'), false);
    });
  }

  for (const subject of ['nsf.v1.evt.h1.beat', 'nsf.v1.evt.h1.res.c1.r1', 'nsf.v1.evt.h1.stream.s1']) {
    it(`says ${subject}`, async () => assert.equal(await maySay(agent, subject), true));
  }
  const foreign = [
    'nsf.v1.evt.h2.beat',
    'nsf.v1.evt.h2.res.c.r',
    'nsf.v1.cmd.h1.do',
    'nsf.v1.cmd.h2.do',
    'nsf.v1.all.ask',
    'nsf.v1.inbox.h1.x',
    'nsf.v1.inbox.h2.x',
  ];
  for (const subject of [...foreign, '_INBOX.a.b', '$JS.API.INFO', 'other']) {
    it(`does not say ${subject}`, async () => assert.equal(await maySay(agent, subject), false));
  }

  it('cannot answer to a subject that the asker names', async () => {
    const asked = agent.subscribe('nsf.v1.cmd.h1.ask', { callback: (_, message) => void message.respond('stolen') });
    await agent.flush();
    let heard = false;
    const other = witness.subscribe('nsf.v1.cmd.h2.do', {
      callback: () => {
        heard = true;
      },
    });
    controller.publish('nsf.v1.cmd.h1.ask', 'x', { reply: 'nsf.v1.cmd.h2.do' });
    for (const connection of [controller, agent, agent, witness]) await connection.flush();
    asked.unsubscribe();
    other.unsubscribe();
    assert.equal(heard, false);
  });

  it('cannot send more than 256 KiB', async () => {
    assert.equal(agent.info?.max_payload, 256 * 1024);
    assert.throws(() => agent.publish('nsf.v1.evt.h1.beat', new Uint8Array(256 * 1024 + 1)), /max_payload|payload/i);
  });
});

describe('a controller', () => {
  for (const subject of ['nsf.v1.evt.*.beat', 'nsf.v1.evt.>']) {
    it(`hears ${subject}`, async () => assert.equal(await mayHear(controller, subject, 'controllers'), true));
  }
  for (const subject of ['>', 'nsf.v1.cmd.>', '_INBOX.>', '$SYS.>']) {
    it(`does not hear ${subject}`, async () => assert.equal(await mayHear(controller, subject), false));
  }
  for (const subject of ['nsf.v1.cmd.h1.do', 'nsf.v1.all.ask', 'nsf.v1.inbox.h1.x']) {
    it(`says ${subject}`, async () => assert.equal(await maySay(controller, subject), true));
  }
  it('cannot pose as an agent', async () => assert.equal(await maySay(controller, 'nsf.v1.evt.h1.beat'), false));
});

describe('who is let in', () => {
  it('nobody without credentials', async () => {
    await assert.rejects(connect({ servers: nats.url, reconnect: false }), /authorization/i);
  });

  it('nobody whose JWT was signed with another account’s key', async () => {
    const stranger = await (async () => {
      const { ensureNatsKeys } = await import('#controller/credentials/keys.ts');
      const keys = ensureNatsKeys(`${dirs.root}/other-keys`);
      const { controllerCredentials } = await import('#controller/credentials/users.ts');
      return controllerCredentials(keys);
    })();
    await assert.rejects(join(stranger), /authorization/i);
  });

  it('nobody with a right JWT and a wrong seed', async () => {
    const key = createUserKey();
    const jwt = await agentUserJwt(nats.keys, 'h1', key.publicKey);
    const other = new TextEncoder().encode(createUserKey().seed);
    await assert.rejects(connect({ servers: nats.url, authenticator: jwtAuthenticator(jwt, other), reconnect: false }), /authorization/i);
  });
});

describe('the generator of permissions', () => {
  const bad = fc.oneof(
    fc.constantFrom('', '.', '*', '>', 'a.b', 'a.*', 'a.>', ' ', 'a b', 'a\tb', 'a\n', 'a'.repeat(65), 'ä', 'h1.>', '*.h1'),
    fc.string({ maxLength: 80 }).filter((id) => !/^[A-Za-z0-9_-]{1,64}$/.test(id)),
  );

  it('refuses every id that is no plain subject token', () => {
    fc.assert(fc.property(bad, (id) => assert.throws(() => agentPermissions(id), { code: 'INVALID_INPUT' })));
  });

  it('names only subjects of that id, and what is for all', () => {
    const good = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
    fc.assert(
      fc.property(good, (id) => {
        const { pub, sub } = agentPermissions(id);
        const own = [...pub.allow, ...sub.allow].filter((subject) => subject !== 'nsf.v1.all.>');
        assert.ok(own.every((subject) => new RegExp(`^nsf\\.v1\\.(evt|cmd|inbox)\\.${id}\\.>$`).test(subject)));
      }),
    );
  });

  it('refuses a public key that is none', async () => {
    for (const key of ['', 'U', createUserKey().seed, 'UAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA']) {
      await assert.rejects(agentUserJwt(nats.keys, 'h1', key), { code: 'INVALID_INPUT' });
    }
  });
});
