/** From how people name the namespaces of `ns exec` to what their host calls them. */
import type { NamedNamespace, TargetName } from '#shared/act.ts';
import { NsfleetError } from '#shared/errors.ts';
import type { Host } from '#shared/resources.ts';
import { findNamespace } from '../store/namespaces.ts';
import { namespaceOfProcess } from '../store/process-namespaces.ts';
import { findSandbox } from '../store/sandboxes.ts';
import type { Tx } from '../store/client.ts';

/** See TargetName. What is the host's own is not joined. */
export async function resolveTargets(tx: Tx, host: Host, targets: readonly TargetName[]): Promise<NamedNamespace[]> {
  const named: NamedNamespace[] = [];
  for (const { type, of } of targets) {
    if (of === 'host') continue;
    const pid = /^pid:([1-9][0-9]{0,9})$/.exec(of)?.[1];
    if (pid !== undefined) named.push({ type, key: await namespaceOfProcess(tx, host.id, Number(pid), type) });
    else if (of.startsWith('sandbox:')) named.push(await ofSandbox(tx, host, of.slice('sandbox:'.length), type));
    else named.push({ type, key: (await findNamespace(tx, { namespace: of, host: host.id, type })).key });
  }
  return named;
}

async function ofSandbox(tx: Tx, host: Host, reference: string, type: NamedNamespace['type']): Promise<NamedNamespace> {
  const sandbox = await findSandbox(tx, reference);
  const found = sandbox.hostId === host.id ? sandbox.namespaces.find((namespace) => namespace.type === type) : undefined;
  if (found !== undefined) return { type, key: found.key };
  throw new NsfleetError('NAMESPACE_NOT_FOUND', {
    attempted: `find the ${type} namespace of sandbox`,
    target: sandbox.name,
    reason: sandbox.hostId === host.id ? `it is ${sandbox.state}` : `it is on host ${sandbox.hostName ?? 'none'}, not on ${host.name}`,
  });
}
