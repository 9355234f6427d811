/**
 * What of a spec this host cannot give: a table of rules over the spec and the host's facts, asked before anything is made. Each rule also says
 * what the spec is without it, for who allows that. Pure; a new part of a spec that some hosts cannot give gets a rule here.
 */
import { capabilityNumber } from '#shared/capability.ts';
import type { CgroupController, Resources } from '#shared/cgroup.ts';
import { NsfleetError } from '#shared/errors.ts';
import { lackText } from '#shared/lack.ts';
import type { Lack } from '#shared/lack.ts';
import { exceeds, rlimitNames } from '#shared/process.ts';
import type { Account, RlimitName, RlimitValue } from '#shared/process.ts';
import { lackOf, limitWrites } from '../cgroup/limits.ts';
import type { ResolvedSpec } from '../image/process.ts';
import type { KernelFacts } from './kernel-facts.ts';

/** `noControllers`: why sandboxes here cannot be limited by a cgroup controller. `landlockAbi`: its version, or negative where there is none. */
export type HostAbilities = KernelFacts & { noControllers: ReadonlyMap<CgroupController, string>; landlockAbi: number };

type Fit = { spec: ResolvedSpec; lacks: Lack[] };
type Rule = (spec: ResolvedSpec, host: HostAbilities) => Fit;

const rules: readonly Rule[] = [ids, capabilities, rlimits, priority, oomScore, limits, landlock];

/** The spec as this host can do it, and what it lacks for that. Nothing is lost without a lack that names it. */
export function fit(spec: ResolvedSpec, host: HostAbilities): Fit {
  let now: Fit = { spec, lacks: [] };
  for (const rule of rules) {
    const next = rule(now.spec, host);
    now = { spec: next.spec, lacks: [...now.lacks, ...next.lacks] };
  }
  return now;
}

/** The same, or SPEC_UNAVAILABLE with everything that is missing, unless the spec allows to go without. */
export function fitOrRefuse(spec: ResolvedSpec, host: HostAbilities, name: string): Fit {
  const fitted = fit(spec, host);
  if (fitted.lacks.length === 0 || spec.allowDegraded) return fitted;
  throw new NsfleetError('SPEC_UNAVAILABLE', {
    attempted: 'create sandbox',
    target: name,
    reason: `this host cannot give it ${fitted.lacks.map(lackText).join('; ')}`,
    missing: fitted.lacks,
  });
}

function ids(spec: ResolvedSpec, kernel: KernelFacts): Fit {
  const { uid, gid = 0, groups } = spec.user;
  const isRoot = (account: Account): boolean => account === 0 || account === 'root';
  if (kernel.privileged || (isRoot(uid) && isRoot(gid) && groups.length === 0)) return { spec, lacks: [] };
  const lack: Lack = {
    what: 'user',
    asked: [`${uid}:${gid}`, ...groups].join(' ').slice(0, 256),
    has: '0:0',
    reason: 'this agent is no root and maps one id only',
  };
  return { spec: { ...spec, user: { uid: 0, gid: 0, groups: [] } }, lacks: [lack] };
}

function capabilities(spec: ResolvedSpec, { capabilityLast }: KernelFacts): Fit {
  const { add } = spec.capabilities;
  const unknown = add.filter((name) => capabilityNumber(name) > capabilityLast);
  if (unknown.length === 0) return { spec, lacks: [] };
  const lacks = [...new Set(unknown)].map((name) => ({
    what: `capability ${name}`,
    asked: String(capabilityNumber(name)),
    has: 'none',
    reason: `the kernel knows them up to ${capabilityLast} (kernel.cap_last_cap)`,
  }));
  return { spec: { ...spec, capabilities: { add: add.filter((name) => !unknown.includes(name)) } }, lacks };
}

function rlimits(spec: ResolvedSpec, kernel: KernelFacts): Fit {
  const fitted = { ...spec.rlimits };
  const lacks = rlimitNames.flatMap((name): Lack[] => {
    const asked = fitted[name];
    const most = mostOf(name, kernel);
    if (asked === undefined || !exceeds(asked.hard, most.value)) return [];
    fitted[name] = { hard: most.value, soft: exceeds(asked.soft, most.value) ? most.value : asked.soft };
    return [{ what: `rlimit ${name}`, asked: String(asked.hard), has: String(most.value), reason: most.reason }];
  });
  return { spec: { ...spec, rlimits: fitted }, lacks };
}

function mostOf(name: RlimitName, kernel: KernelFacts): { value: RlimitValue; reason: string } {
  const own = kernel.hardLimits[name];
  if (!kernel.capabilities.includes('CAP_SYS_RESOURCE'))
    return { value: own, reason: 'the agent’s own, without CAP_SYS_RESOURCE to raise it' };
  if (name !== 'nofile') return { value: 'unlimited', reason: '' };
  // Its own may be above what fs.nr_open has become since.
  return { value: exceeds(own, kernel.openFilesMax) ? own : kernel.openFilesMax, reason: `fs.nr_open is ${kernel.openFilesMax}` };
}

function priority(spec: ResolvedSpec, { nice, capabilities: own }: KernelFacts): Fit {
  if (spec.nice === undefined || spec.nice >= nice || own.includes('CAP_SYS_NICE')) return { spec, lacks: [] };
  const reason = 'the agent’s own, without CAP_SYS_NICE to lower it';
  return { spec: { ...spec, nice }, lacks: [{ what: 'nice', asked: String(spec.nice), has: String(nice), reason }] };
}

function oomScore(spec: ResolvedSpec, { oomScoreAdj, capabilities: own }: KernelFacts): Fit {
  const asked = spec.oomScoreAdj;
  if (asked === undefined || asked >= oomScoreAdj || own.includes('CAP_SYS_RESOURCE')) return { spec, lacks: [] };
  const reason = 'the agent’s own, without CAP_SYS_RESOURCE to lower it';
  const lack = { what: 'oomScoreAdj', asked: String(asked), has: String(oomScoreAdj), reason };
  return { spec: { ...spec, oomScoreAdj }, lacks: [lack] };
}

function limits(spec: ResolvedSpec, { noControllers }: HostAbilities): Fit {
  const lacking = limitWrites(spec.resources).filter(({ controller }) => noControllers.has(controller));
  if (lacking.length === 0) return { spec, lacks: [] };
  const without = new Set(lacking.map(({ controller }) => controller));
  const lacks = [...without].map((controller): Lack => {
    const asked = lacking.filter((write) => write.controller === controller).map(({ file, value }) => `${file} ${value}`);
    return {
      what: lackOf(controller),
      asked: asked.join(', ').slice(0, 256),
      has: 'none',
      reason: (noControllers.get(controller) ?? '').slice(0, 512),
    };
  });
  const resources = Object.fromEntries(
    Object.entries(spec.resources).filter(([name]) => !without.has(controllerOf[name as keyof Resources])),
  );
  return { spec: { ...spec, resources }, lacks };
}

const controllerOf: Readonly<Record<keyof Resources, CgroupController>> = {
  cpus: 'cpu',
  cpuWeight: 'cpu',
  memoryBytes: 'memory',
  memoryHighBytes: 'memory',
  swapBytes: 'memory',
  pids: 'pids',
  ioWeight: 'io',
  io: 'io',
};

/** The versions that native/shim/ops_landlock.c asks for: before the third a file to be read only could be truncated. */
const landlockNeeds = { paths: 3, ports: 4 } as const;

function landlock(spec: ResolvedSpec, { landlockAbi }: HostAbilities): Fit {
  const { readable, writable, bindTcp, connectTcp } = spec.landlock;
  const has = landlockAbi > 0 ? `version ${landlockAbi}` : 'none';
  const lack = (what: string, asked: readonly unknown[], needs: number): Lack[] =>
    asked.length === 0 || landlockAbi >= needs
      ? []
      : [{ what: `Landlock rules for ${what}`, asked: asked.join(' ').slice(0, 256), has, reason: `they need version ${needs} of it` }];
  const ofPorts = [...(bindTcp ?? []).map((port) => `bind ${port}`), ...(connectTcp ?? []).map((port) => `connect ${port}`)];
  const closed = bindTcp !== undefined || connectTcp !== undefined;
  const paths = lack('paths', [...readable, ...writable], landlockNeeds.paths);
  const ports = lack('TCP ports', closed && ofPorts.length === 0 ? ['none'] : ofPorts, landlockNeeds.ports);
  const kept = {
    ...(paths.length === 0 ? { readable, writable } : { readable: [], writable: [] }),
    ...(ports.length > 0 || bindTcp === undefined ? {} : { bindTcp }),
    ...(ports.length > 0 || connectTcp === undefined ? {} : { connectTcp }),
  };
  return { spec: { ...spec, landlock: kept }, lacks: [...paths, ...ports] };
}
