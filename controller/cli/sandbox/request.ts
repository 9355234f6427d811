/** What was typed after `sandbox run` as the API's request: pure. */
import type { Environment } from '#shared/config.ts';
import { NsfleetError, issuesText } from '#shared/errors.ts';
import { SandboxRequest } from '#shared/sandbox.ts';
import type { SandboxSpecInput } from '#shared/sandbox.ts';
import { idMapOptions, namespaceOptions, timeOffsetOptions } from './namespace-options.ts';
import type { NamespaceOptions } from './namespace-options.ts';
import { limitOptions } from './limit-options.ts';
import type { LimitOptions } from './limit-options.ts';
import { rootOption } from './root-option.ts';
import {
  capabilityOptions,
  deadlineOption,
  durationMs,
  environmentOptions,
  integerOption,
  labelOptions,
  portOptions,
  rlimitOptions,
  seccompOption,
  signalOption,
  userOption,
} from './values.ts';
import { mountOption, tmpfsOption, volumeOption } from './volume-options.ts';

export type RunOptions = LimitOptions &
  NamespaceOptions & {
    name?: string;
    hostname?: string;
    domainname?: string;
    uidmap?: string[];
    gidmap?: string[];
    timeOffset?: string[];
    label?: string[];
    constraint?: string;
    rm?: boolean;
    detach?: boolean;
    dryRun?: boolean;
    env?: string[];
    cwd?: string;
    user?: string;
    groupAdd?: string[];
    capAdd?: string[];
    ulimit?: string[];
    umask?: string;
    allowDegraded?: boolean;
    nice?: string;
    oomScoreAdj?: string;
    root?: string;
    readOnly?: boolean;
    rootSize?: string;
    platform?: string;
    entrypoint?: string;
    volume?: string[];
    mount?: string[];
    tmpfs?: string[];
    landlockRo?: string[];
    landlockRw?: string[];
    landlockBind?: string[];
    landlockConnect?: string[];
    seccomp?: string;
    ttl?: string;
    idle?: string;
    deadline?: string;
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
  const volumes = [
    ...(options.volume ?? []).map(volumeOption),
    ...(options.mount ?? []).map(mountOption),
    ...(options.tmpfs ?? []).map(tmpfsOption),
  ];
  const resources = limitOptions(options);
  const user = userOption('--user', options.user, options.groupAdd ?? []);
  const idMaps = idMapOptions(options.uidmap, options.gidmap);
  const timeOffsets = timeOffsetOptions(options.timeOffset);
  const spec = {
    command: [...command],
    env: environmentOptions('--env', options.env ?? [], env),
    root: rootOption(options),
    ...(volumes.length === 0 ? {} : { volumes }),
    namespaces: namespaceOptions(options),
    ...(idMaps === undefined ? {} : { idMaps }),
    ...(timeOffsets === undefined ? {} : { timeOffsets }),
    ...(options.domainname === undefined ? {} : { domainname: options.domainname }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(user === undefined ? {} : { user }),
    ...(options.capAdd === undefined ? {} : { capabilities: { add: capabilityOptions('--cap-add', options.capAdd) } }),
    ...(options.ulimit === undefined ? {} : { rlimits: rlimitOptions('--ulimit', options.ulimit) }),
    ...(options.allowDegraded === true ? { allowDegraded: true } : {}),
    ...(options.umask === undefined ? {} : { umask: options.umask }),
    ...(options.nice === undefined ? {} : { nice: integerOption('--nice', options.nice) }),
    ...(options.oomScoreAdj === undefined ? {} : { oomScoreAdj: integerOption('--oom-score-adj', options.oomScoreAdj) }),
    ...(Object.keys(resources).length === 0 ? {} : { resources }),
    ...(options.hostname === undefined ? {} : { hostname: options.hostname }),
    landlock: landlockOf(options),
    ...(options.seccomp === undefined ? {} : { seccomp: seccompOption('--seccomp', options.seccomp) }),
    ...(options.constraint === undefined ? {} : { constraint: options.constraint }),
    ...(options.ttl === undefined ? {} : { ttlMs: durationMs('--ttl', options.ttl) }),
    ...(options.idle === undefined ? {} : { idleMs: durationMs('--idle', options.idle) }),
    ...(options.deadline === undefined ? {} : { deadline: deadlineOption('--deadline', options.deadline) }),
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

function landlockOf({ landlockRo = [], landlockRw = [], landlockBind, landlockConnect }: RunOptions): SandboxSpecInput['landlock'] {
  return {
    readable: landlockRo,
    writable: landlockRw,
    ...(landlockBind === undefined ? {} : { bindTcp: portOptions('--landlock-bind', landlockBind) }),
    ...(landlockConnect === undefined ? {} : { connectTcp: portOptions('--landlock-connect', landlockConnect) }),
  };
}
