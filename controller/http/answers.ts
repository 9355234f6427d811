/** What answers each route: the whole API on one page. */
import type { Context } from '../context.ts';
import { agentUserJwt } from '../credentials/users.ts';
import { sandboxCalls } from '../sandbox/calls.ts';
import { pauseSandbox, sandboxStats, updateSandbox } from '../sandbox/change.ts';
import { createSandbox } from '../sandbox/create.ts';
import { removeSandbox, stopSandbox } from '../sandbox/end.ts';
import { planSandbox } from '../sandbox/plan.ts';
import { awaitState } from '../sandbox/wait.ts';
import type { WaitFor } from '../sandbox/wait.ts';
import { fleetStatus } from '../status.ts';
import { enrollHost, findHost } from '../store/hosts.ts';
import { listProcesses } from '../store/processes.ts';
import { observedOf } from '../store/sandbox-row.ts';
import { findSandbox } from '../store/sandboxes.ts';
import { createEventAnswers } from './events.ts';
import { createLists } from './lists.ts';
import { examineHost } from './doctor.ts';
import { findMounts } from './mounts.ts';
import { createNamespaceAnswers } from './namespaces.ts';
import { translatePid } from './pids.ts';
import { attachName, createKept, reap, removeKept } from './actions.ts';
import type { Answers, Asked } from './routes.ts';

export function createAnswers(context: Context): Answers {
  const { db } = context.store;
  return {
    status: () => fleetStatus(context),

    ...createLists(db),
    ...createNamespaceAnswers(context),
    ...createEventAnswers(db),

    processList: ({ params, query }) => listProcesses(db, params.host, query),
    hostShow: ({ params }) => findHost(db, params.host),
    async hostEnroll({ body }) {
      // The key is checked by signing for it, before anything is written.
      const jwt = await agentUserJwt(context.keys, body.id, body.publicKey);
      return { host: await enrollHost(db, body), jwt, natsUrl: context.natsUrl };
    },

    pidTranslate: (asked) => translatePid(context, asked),
    mountFind: (asked) => findMounts(context, asked),
    hostDoctor: (asked) => examineHost(context, asked),

    namespaceCreate: (asked) => createKept(context, asked),
    namespaceAttach: (asked) => attachName(context, asked),
    namespaceRemove: (asked) => removeKept(context, asked),
    namespaceReap: (asked) => reap(context, asked),

    sandboxCreate: ({ body, query, idempotencyKey, signal }) =>
      createSandbox(context, { request: body, idempotencyKey, wait: { state: query.wait ?? 'running', ms: query.waitMs, signal } }),
    sandboxPlan: ({ body, signal }) => planSandbox(context, body, signal),
    async sandboxShow(asked) {
      const sandbox = await findSandbox(db, asked.params.sandbox);
      const settled = await awaitState(context, sandbox, waitOf(asked));
      return { ...settled, observed: await observedOf(db, settled.placementId) };
    },
    sandboxUpdate: ({ params, query, body, signal }) =>
      updateSandbox(context, params.sandbox, body.resources, { waitMs: query.waitMs, dryRun: query.dryRun === 'true', signal }),
    sandboxPause: ({ params, query, signal }) => pauseSandbox(context, params.sandbox, 'paused', { ...query, signal }),
    sandboxResume: ({ params, query, signal }) => pauseSandbox(context, params.sandbox, 'running', { ...query, signal }),
    sandboxStats: ({ params, signal }) => sandboxStats(context, params.sandbox, signal),
    sandboxCalls: ({ params, signal }) => sandboxCalls(context, params.sandbox, signal),
    sandboxStop: (asked) => stopSandbox(context, asked.params.sandbox, asked.body, waitOf(asked)),
    sandboxRemove: (asked) => removeSandbox(context, asked.params.sandbox, asked.query.force === 'true', waitOf(asked)),
  };
}

/** Without `wait` nothing is waited for. */
function waitOf({ query, signal }: Asked<'sandboxShow' | 'sandboxStop' | 'sandboxRemove'>): WaitFor {
  return { state: query.wait ?? 'placed', ms: query.waitMs, signal };
}
