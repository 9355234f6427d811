/** `ns exec`: a program of the host in chosen namespaces, the host's where none is chosen: nsenter(1) for any host of the fleet. */
import type { JoinRequest } from '#shared/messages.ts';
import type { Plan, PlanJoin } from '#shared/plan.ts';
import type { Model } from '../inventory/model.ts';
import type { Link } from '../link.ts';
import { failureError } from '../sandbox/failures.ts';
import { everyId } from '../sandbox/identity.ts';
import { joinOrder } from '../sandbox/join-facts.ts';
import type { RunnerParts } from '../sandbox/runner.ts';
import { serveProcess } from '../stream/served-process.ts';
import type { OpenStream } from '../stream/served-process.ts';
import { openNamespace, wordOf } from './open-namespace.ts';

const attempted = 'run a command in chosen namespaces';

/** Resolves when the command runs. NAMESPACE_NOT_FOUND where a target has ended, COMMAND_NOT_FOUND, EXEC_FAILED…; nothing is left then. */
export async function startJoin(parts: RunnerParts, link: Link, streamId: string, model: Model, request: JoinRequest): Promise<OpenStream> {
  const target = request.targets.map(wordOf).join(', ') || 'the host’s own';
  using opened = new DisposableStack();
  // The kernel refuses to join the user namespace that one is in: EINVAL.
  const own = parts.native.relate({ path: '/proc/self/ns/user' }).inode;
  const joined = request.targets.filter(({ type, key }) => type !== 'user' || model.namespaces.get(`user ${key}`)?.inode !== own);
  const order = joinOrder(true);
  const sorted = joined.toSorted((a, b) => order.indexOf(a.type) - order.indexOf(b.type));
  const targets = sorted.map((named) => opened.use(openNamespace(parts.native, model, named)));
  const context = { attempted, target, fallback: 'EXEC_FAILED', rootIsDirectory: false } as const;
  return await serveProcess(parts, link, streamId, {
    mode: 'join',
    plan: joinPlan(
      request,
      targets.map((fd) => parts.native.relate({ fd })),
    ),
    targets,
    attempted,
    target,
    failure: (failure) => failureError(failure, context),
  });
}

/** Pure. No operation but what every command gets; the namespaces come as descriptors. */
function joinPlan({ command, env, cwd }: JoinRequest, joins: readonly PlanJoin[]): Plan {
  return {
    version: 1,
    kind: 'enter',
    namespaces: [],
    joins: joins.map(({ type, id, inode }) => ({ type, id, inode })),
    idMaps: { uid: [everyId], gid: [everyId] },
    // A joined user namespace may forbid setgroups(2); the shim has dropped all groups before.
    setgroupsDeny: true,
    log: { maxBytes: 1 },
    operations: [
      { op: 'rlimit', side: 'inner', resource: 'nofile', soft: 1024, hard: null, clamp: true },
      { op: 'umask', side: 'inner', mask: 0o022 },
    ],
    exec: {
      argv: command,
      env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', TERM: 'dumb', ...env },
      cwd: cwd ?? '/',
      uid: 0,
      gid: 0,
    },
  };
}
