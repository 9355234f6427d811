/** What was typed after `sandbox run` as the API's request: pure. */
import type { Environment } from '#shared/config.ts';
import { NsfleetError, issuesText } from '#shared/errors.ts';
import { SandboxRequest } from '#shared/sandbox.ts';
import type { SandboxSpecInput } from '#shared/sandbox.ts';
import { durationMs, environmentOptions, labelOptions, signalOption, userIds } from './values.ts';

export type RunOptions = {
  name?: string;
  hostname?: string;
  label?: string[];
  constraint?: string;
  rm?: boolean;
  detach?: boolean;
  dryRun?: boolean;
  env?: string[];
  cwd?: string;
  user?: string;
  root?: string;
  readOnly?: boolean;
  stopSignal?: string;
  stopGrace?: string;
  interactive?: boolean;
  tty?: boolean;
};

/**
 * The request, with every default filled in. Throws USAGE for what cannot be read and INVALID_INPUT, naming each field, for what the
 * contract refuses; the server checks the same again.
 */
export function sandboxRequest(command: readonly string[], options: RunOptions, env: Environment): SandboxRequest {
  const spec: SandboxSpecInput = {
    command: [...command],
    env: environmentOptions('--env', options.env ?? [], env),
    root: rootOf(options),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.user === undefined ? {} : { user: userIds('--user', options.user) }),
    ...(options.hostname === undefined ? {} : { hostname: options.hostname }),
    ...(options.constraint === undefined ? {} : { constraint: options.constraint }),
    ...(options.stopSignal === undefined ? {} : { stopSignal: signalOption('--stop-signal', options.stopSignal) }),
    ...(options.stopGrace === undefined ? {} : { stopGraceMs: durationMs('--stop-grace', options.stopGrace) }),
  };
  const parsed = SandboxRequest.safeParse({
    ...(options.name === undefined ? {} : { name: options.name }),
    labels: labelOptions('--label', options.label ?? []),
    autoRemove: options.rm === true,
    spec,
  });
  if (parsed.success) return parsed.data;
  throw new NsfleetError('INVALID_INPUT', {
    attempted: 'create',
    target: 'sandbox',
    reason: issuesText(parsed.error.issues).slice(0, 1000),
  });
}

function rootOf({ root, readOnly }: RunOptions): NonNullable<SandboxSpecInput['root']> {
  // The host's /usr is read-only in any case.
  if (root === undefined || root === 'host') return { type: 'host' };
  return { type: 'directory', path: root, writable: readOnly !== true };
}
