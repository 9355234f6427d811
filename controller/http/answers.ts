/** What answers each route: the whole API on one page. */
import type { Context } from '../context.ts';
import { agentUserJwt } from '../credentials/users.ts';
import { createSandbox } from '../sandbox/create.ts';
import { removeSandbox, stopSandbox } from '../sandbox/end.ts';
import { planSandbox } from '../sandbox/plan.ts';
import { awaitState } from '../sandbox/wait.ts';
import type { WaitFor } from '../sandbox/wait.ts';
import { fleetStatus } from '../status.ts';
import { readEvents } from '../store/events.ts';
import { enrollHost, findHost, listHosts } from '../store/hosts.ts';
import { findNamespace } from '../store/namespaces.ts';
import { findSandbox, listSandboxes } from '../store/sandboxes.ts';
import { findMounts } from './mounts.ts';
import { listFresh } from './namespaces.ts';
import { translatePid } from './pids.ts';
import type { Answers, Asked } from './routes.ts';

export function createAnswers(context: Context): Answers {
  const { db } = context.store;
  return {
    status: () => fleetStatus(context),

    hostList: ({ query }) => listHosts(db, query),
    hostShow: ({ params }) => findHost(db, params.host),
    async hostEnroll({ body }) {
      // The key is checked by signing for it, before anything is written.
      const jwt = await agentUserJwt(context.keys, body.id, body.publicKey);
      return { host: await enrollHost(db, body), jwt, natsUrl: context.natsUrl };
    },

    pidTranslate: (asked) => translatePid(context, asked),
    mountFind: (asked) => findMounts(context, asked),

    namespaceList: ({ query, signal }) => listFresh(context, query, signal),
    namespaceShow: ({ params, query }) => findNamespace(db, { ...params, ...query }),

    sandboxCreate: ({ body, query, idempotencyKey, signal }) =>
      createSandbox(context, { request: body, idempotencyKey, wait: { state: query.wait ?? 'running', ms: query.waitMs, signal } }),
    sandboxPlan: ({ body, signal }) => planSandbox(context, body, signal),
    sandboxList: ({ query }) => listSandboxes(db, { ...query, all: query.all === 'true' }),
    async sandboxShow(asked) {
      const sandbox = await findSandbox(db, asked.params.sandbox);
      return awaitState(context, sandbox, waitOf(asked));
    },
    sandboxStop: (asked) => stopSandbox(context, asked.params.sandbox, asked.body, waitOf(asked)),
    sandboxRemove: (asked) => removeSandbox(context, asked.params.sandbox, asked.query.force === 'true', waitOf(asked)),

    async eventList({ query }) {
      return { events: await readEvents(db, { since: query.since, limit: query.limit }) };
    },
  };
}

/** Without `wait` nothing is waited for. */
function waitOf({ query, signal }: Asked<'sandboxShow' | 'sandboxStop' | 'sandboxRemove'>): WaitFor {
  return { state: query.wait ?? 'placed', ms: query.waitMs, signal };
}
