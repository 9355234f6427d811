/** What a spec's root really is on this host, so that what the policy judges is what the shim opens. */
import { lstatSync, realpathSync } from 'node:fs';
import { NsfleetError, errorText } from '#shared/errors.ts';
import type { SandboxSpec } from '#shared/sandbox.ts';
import { checkSpec } from '../policy.ts';
import type { Policy } from '../policy/model.ts';

/** The spec with its root's real path. ROOT_REFUSED where it is a symbolic link, no directory, or not there. */
function withRealRoot(spec: SandboxSpec): SandboxSpec {
  if (spec.root.type !== 'directory') return spec;
  const asked = spec.root.path;
  const refuse = (reason: string, cause?: unknown) =>
    new NsfleetError('ROOT_REFUSED', { attempted: 'use as a root', target: asked, reason, cause });
  try {
    const about = lstatSync(asked);
    if (!about.isDirectory()) throw refuse(about.isSymbolicLink() ? 'it is a symbolic link' : 'it is no directory');
    return { ...spec, root: { ...spec.root, path: realpathSync(asked) } };
  } catch (error) {
    throw error instanceof NsfleetError ? error : refuse(errorText(error), error);
  }
}

/** The spec as it may be made here, by real paths. ROOT_REFUSED, POLICY_REFUSED. */
export function allowedSpec(spec: SandboxSpec, policy: Policy, name: string): SandboxSpec {
  const real = withRealRoot(spec);
  checkSpec(real, policy, name);
  return real;
}
