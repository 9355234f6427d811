/**
 * Spec × policy → what this host refuses of it, and why. Pure, and the last word: it is asked again in the step that acts, for the first process
 * of a sandbox and for every later one, whatever a controller has decided. A new part of a spec gets a rule here.
 */
import type { HostAction } from '#shared/act.ts';
import { NsfleetError } from '#shared/errors.ts';
import type { ErrorCode } from '#shared/errors.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import { isWithin } from '#shared/paths.ts';
import type { SandboxSpec } from '#shared/sandbox.ts';
import { choiceOf, sourceText } from '#shared/sandbox-namespaces.ts';
import type { Volume } from '#shared/volume.ts';
import type { Policy } from './policy/model.ts';

/** `allow`: what the host's administrator would write into the policy. */
export type Refusal = { code: Extract<ErrorCode, 'POLICY_REFUSED' | 'ROOT_REFUSED'>; reason: string; allow: string | null };

type Rule = (spec: SandboxSpec, policy: Policy) => Refusal[];

/** What a sandbox is made from. A root directory is judged by its real path, which `sandbox/real-root.ts` finds. */
const onCreation: readonly Rule[] = [root, volumes];
/** What every process of it shares: asked for each, since the policy may have become narrower after the sandbox was made. */
const always: readonly Rule[] = [namespaces, idMaps, capabilities, seccomp];

/** Empty: nothing in it is against the policy. All rules are asked, so that one answer names everything. */
export function refusals(spec: SandboxSpec, policy: Policy): Refusal[] {
  return [...onCreation, ...always].flatMap((rule) => rule(spec, policy));
}

/** May it be made? Throws POLICY_REFUSED, or ROOT_REFUSED where it is only about the root. */
export function checkSpec(spec: SandboxSpec, policy: Policy, name: string): void {
  throwRefusals(refusals(spec, policy), policy, 'create sandbox', name);
}

/** May another process run in it? Throws POLICY_REFUSED. */
export function checkRunning(spec: SandboxSpec, policy: Policy, name: string): void {
  const found = always.flatMap((rule) => rule(spec, policy));
  throwRefusals(found, policy, 'exec in sandbox', name);
}

function throwRefusals(found: readonly Refusal[], policy: Policy, attempted: string, target: string): void {
  const [first] = found;
  if (first === undefined) return;
  const allow = found.flatMap((one) => one.allow ?? []);
  throw new NsfleetError(found.every(({ code }) => code === first.code) ? first.code : 'POLICY_REFUSED', {
    attempted,
    target,
    reason: found.map(({ reason }) => reason).join('; '),
    ...(allow.length === 0 ? {} : { remedy: `the host decides: its administrator may write ${allow.join(', ')} in ${whereOf(policy)}` }),
  });
}

/** Throws ACTION_NOT_ALLOWED. `attempted` and `target` say what was asked for; `uid` is the agent's. */
export function checkAction({ policy, uid }: { policy: Policy; uid: number }, action: HostAction, attempted: string, target: string): void {
  if (uid !== 0) {
    throw new NsfleetError('ACTION_NOT_ALLOWED', {
      attempted,
      target,
      reason: 'the agent of this host runs as a plain user, who may neither mount nor join namespaces of others',
      remedy: 'run the agent as root',
    });
  }
  if (policy.actions.has(action)) return;
  throw new NsfleetError('ACTION_NOT_ALLOWED', {
    attempted,
    target,
    reason: `${action} is not among the actions that this host allows (${[...policy.actions].join(', ') || 'none'})`,
    remedy: `the host decides: its administrator may add ${action} to actions in ${whereOf(policy)}, and restart the agent`,
  });
}

const whereOf = ({ file }: Policy): string => file ?? 'its policy file (`nsfleet-agent --help` tells where)';

/** The host's own parts, which a root file system has of its own: a root that *is* the host, or a kernel's view of it, is none. */
const hostDirectories = ['/boot', '/dev', '/etc', '/proc', '/root', '/run', '/sys', '/usr', '/var'];
/** Nothing below these is a root file system either; below the others there may be one (/var/lib/machines, /root/debian). */
const hostTrees = ['/boot', '/dev', '/etc', '/proc', '/sys', '/run'];

/**
 * Files of root show inside as root's own, so a root that holds the host's /etc/shadow or the agent's credentials would hand them to whoever may
 * create a sandbox.
 */
function root({ root: asked }: SandboxSpec, { roots }: Policy): Refusal[] {
  const refuse = (reason: string, allow: string | null = null): Refusal[] => [{ code: 'ROOT_REFUSED', reason, allow }];
  if (asked.type === 'host') {
    return roots.host ? [] : refuse('this host does not give its own /usr as a root', 'roots.host: true');
  }
  const { path } = asked;
  if (roots.directories !== null && !roots.directories.some((allowed) => isWithin(path, allowed))) {
    return refuse(`this host takes roots only from ${roots.directories.join(', ') || 'no directory'}`, `roots.directories: [${path}]`);
  }
  const kept = [...roots.privateDirectories, ...hostDirectories].find((directory) => isWithin(directory, path));
  if (kept !== undefined) return refuse(`${path} holds ${kept} of the host itself`);
  const tree = [...roots.privateDirectories, ...hostTrees].find((directory) => isWithin(path, directory));
  return tree === undefined ? [] : refuse(`${path} lies in ${tree}, which the host keeps to itself`);
}

/** What root inside writes into a volume is root's on the host, so none is allowed that is not named; nor a part of what the host keeps to itself. */
function volumes({ volumes: asked }: SandboxSpec, policy: Policy): Refusal[] {
  return asked.flatMap((volume) => (volume.type === 'bind' ? bind(volume, policy) : []));
}

function bind({ source, readonly, propagation }: Extract<Volume, { type: 'bind' }>, { binds, roots }: Policy): Refusal[] {
  const entry = `{ path: ${source}${readonly ? '' : ', writable: true'}${propagation === 'rslave' ? ', rslave: true' : ''} }`;
  const refuse = (reason: string, allow: string | null = `binds: [${entry}]`): Refusal[] => [{ code: 'POLICY_REFUSED', reason, allow }];
  const named = binds.filter(({ path }) => isWithin(source, path));
  if (named.length === 0) return refuse(`this host binds nothing of ${source} into sandboxes`);
  if (!readonly && !named.some(({ writable }) => writable)) return refuse(`this host binds ${source} read-only`);
  if (propagation === 'rslave' && !named.some(({ rslave }) => rslave))
    return refuse(`this host binds ${source} without later mounts (rslave)`);
  const kept = roots.privateDirectories.find((directory) => isWithin(directory, source) || isWithin(source, directory));
  if (kept !== undefined) return refuse(`${source} holds or lies in ${kept}, which is its agent’s own`, null);
  // A part of one may be named (/etc/ssl/certs), but not by naming what holds all of it.
  const tree = ['/', ...hostTrees].find(
    (directory) =>
      (directory === '/' ? source === '/' : isWithin(source, directory)) && named.every(({ path }) => isWithin(directory, path)),
  );
  return tree === undefined ? [] : refuse(`${source} is of ${tree}, which the host keeps to itself`, null);
}

/** Over its own namespaces only, but each of them opens more of the kernel to it. */
function capabilities({ capabilities: { add }, namespaces }: SandboxSpec, policy: Policy): Refusal[] {
  if (add.length > 0 && choiceOf(namespaces, 'user').from !== 'new') {
    const reason = `${add.join(', ')} would be over more than its own: it has no user namespace of its own`;
    return [{ code: 'POLICY_REFUSED', reason, allow: null }];
  }
  const refused = add.filter((name) => !policy.capabilities.has(name));
  if (refused.length === 0) return [];
  const reason = `this host does not give sandboxes ${refused.join(', ')}`;
  return [{ code: 'POLICY_REFUSED', reason, allow: `capabilities: [${refused.join(', ')}]` }];
}

/** Without a filter all of the kernel's calls are open to what runs inside, which is what its holes are reached by. */
function seccomp({ seccomp: { profile } }: SandboxSpec, { seccompNone }: Policy): Refusal[] {
  if ((profile !== 'none' && profile !== 'log') || seccompNone) return [];
  return [{ code: 'POLICY_REFUSED', reason: 'this host runs nothing without a filter of system calls', allow: 'seccomp: {none: true}' }];
}

function namespaces({ namespaces: asked }: SandboxSpec, policy: Policy): Refusal[] {
  return namespaceTypes.flatMap((type): Refusal[] => {
    const choice = choiceOf(asked, type);
    if (choice.from === 'new') return [];
    const refuse = (allow: string): Refusal[] => [
      { code: 'POLICY_REFUSED', reason: `this host does not let sandboxes have the ${type} namespace of ${sourceText(choice)}`, allow },
    ];
    if (choice.from === 'host') return policy.hostNamespaces.has(type) ? [] : refuse(`hostNamespaces: [${type}]`);
    const kind = choice.from === 'sandbox' ? 'sandbox' : 'other';
    return policy.joins[kind].has(type) ? [] : refuse(`joins.${kind}: [${type}]`);
  });
}

function idMaps({ idMaps: asked }: SandboxSpec, policy: Policy): Refusal[] {
  if (asked === undefined) return [];
  return [...asked.uid, ...asked.gid]
    .filter(({ outside, count }) => !policy.idMaps.some((one) => outside >= one.start && outside + count <= one.start + one.count))
    .map(({ outside, count }) => ({
      code: 'POLICY_REFUSED',
      reason: `ids ${outside} to ${outside + count - 1} of this host are not for maps`,
      allow: `idMaps: [{start: ${outside}, count: ${count}}]`,
    }));
}
