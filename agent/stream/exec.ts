/** One more process in a running sandbox, with its streams. */
import type { Fd } from '#native/handles.ts';
import { NsfleetError, asNsfleetError } from '#shared/errors.ts';
import type { ExecRequest } from '#shared/messages.ts';
import { resolveProcess } from '../image/process.ts';
import type { Link } from '../link.ts';
import { checkRunning } from '../policy.ts';
import { failureError } from '../sandbox/failures.ts';
import { fit } from '../sandbox/lacks.ts';
import type { Placement } from '../sandbox/placement.ts';
import { joinedIdentity } from '../sandbox/join-targets.ts';
import { compileEnterPlan } from '../sandbox/plan.ts';
import type { RunnerParts } from '../sandbox/runner.ts';
import { serveProcess } from './served-process.ts';
import type { OpenStream } from './served-process.ts';

/** Resolves when the command runs. SANDBOX_NOT_RUNNING, or what keeps it from running; nothing is left then. */
export async function startExec(
  parts: RunnerParts,
  link: Link,
  streamId: string,
  placement: Placement,
  exec: ExecRequest,
): Promise<OpenStream> {
  const { native, owner, kernel, policy } = parts;
  const { name, spec: asked, idRange, placementId } = placement.record.desired;
  const { init, state } = placement.record;
  const attempted = 'exec in sandbox';
  if (init === null || (state !== 'running' && state !== 'stopping')) {
    throw new NsfleetError('SANDBOX_NOT_RUNNING', { attempted, target: name, reason: `it is ${state}` });
  }
  checkRunning(asked, policy, name);
  const spec = resolveProcess(asked, asked.root.type === 'oci' ? await parts.images.useOf(placementId) : null);
  using target = openInit(native, init, name);
  // As its first process was started, with what the host could give of it.
  const fitted = fit(spec, { ...kernel, noControllers: parts.cgroups.lacks, landlockAbi: native.landlockAbi() }).spec;
  const plan = compileEnterPlan({
    command: exec.command,
    env: { ...spec.env, ...exec.env },
    cwd: exec.cwd ?? spec.cwd,
    user: exec.user ?? fitted.user,
    spec: fitted,
    hostname: spec.hostname ?? name,
    idRange,
    joined: joinedIdentity(spec, init.pid),
    owner,
    kernel,
  });
  const context = { attempted, target: name, fallback: 'EXEC_FAILED', rootIsDirectory: spec.root.type !== 'host' } as const;
  using cgroup = openCgroup(parts, placement);
  const stream = await serveProcess(parts, link, streamId, {
    mode: 'enter',
    plan,
    targets: [target.pidfd],
    cgroup: cgroup ?? undefined,
    attempted,
    target: name,
    failure: (failure) => failureError(failure, context),
  });
  keepActive(placement, stream);
  return stream;
}

/** Of `idleMs`: often enough that it does not run out while something runs in it. */
const activePart = 3;
const activeMsMax = 60_000;

/** What is executed in it counts as a sign of life until it has ended. */
function keepActive(placement: Placement, stream: OpenStream): void {
  const { idleMs } = placement.record.desired.spec;
  if (idleMs === undefined) return;
  const tell = (): void => placement.link?.active();
  const timer = setInterval(tell, Math.min(activeMsMax, idleMs / activePart));
  tell();
  void stream.done.finally(() => {
    clearInterval(timer);
    tell();
  });
}

/** So that its limits are this process's too. A sandbox that was made before there were cgroups has none. */
function openCgroup({ native, cgroups }: RunnerParts, { record }: Placement): Fd | null {
  const cgroup = record.cgroup === null ? null : cgroups.open(record.cgroup);
  if (cgroup === null) return null;
  try {
    return native.openDir(cgroup.path);
  } catch (error) {
    throw asNsfleetError(error, 'exec in sandbox', record.desired.name);
  }
}

function openInit(
  native: RunnerParts['native'],
  init: { pid: number; start: string },
  name: string,
): ReturnType<RunnerParts['native']['openProcess']> {
  try {
    return native.openProcess(init.pid, BigInt(init.start));
  } catch (error) {
    throw asNsfleetError(error, 'exec in sandbox', name);
  }
}
