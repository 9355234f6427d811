/** `nsfleet sandbox show`. */
import type { Sandbox, SandboxDetail } from '#shared/resources.ts';
import type { SandboxRoot } from '#shared/root.ts';
import type { Volume } from '#shared/volume.ts';
import { connect } from '../connection.ts';
import { commandText, printBlock } from '../output/block.ts';
import type { Field } from '../output/block.ts';
import { printJson } from '../output/json.ts';
import { bytesText } from '../output/sizes.ts';
import { absoluteAndAgo, durationText, elapsedMs } from '../output/times.ts';
import type { Session } from '../session.ts';
import { decisionLines } from './decision.ts';
import { observedFields } from './observed.ts';
import { exitText, statusText } from './status.ts';

/** Prints one sandbox, named by name, id or a beginning of its id. */
export async function showSandbox(session: Session, name: string): Promise<number> {
  const sandbox = await connect(session).client.call('sandboxShow', { params: { sandbox: name } });
  if (session.json) printJson(session, sandbox);
  else printBlock(session, sandboxFields(sandbox, session.now()));
  return 0;
}

function sandboxFields(sandbox: SandboxDetail, now: Date): Field[] {
  const { spec, startedAt, endedAt, hostName, hostId, idRange } = sandbox;
  const ran = startedAt === null ? null : durationText(elapsedMs(startedAt, endedAt, now));
  return [
    ['ID', sandbox.id],
    ['Name', sandbox.name],
    ['Status', statusText(sandbox, now)],
    ['Wanted', `${sandbox.wanted} (generation ${sandbox.generation})`],
    ['Exit', exitText(sandbox.exit)],
    ...errorFields(sandbox),
    ['Host', hostId === null ? null : `${hostName ?? '?'} (${hostId})`],
    ['Placement', sandbox.placementId],
    ['Decision', sandbox.decision === null ? null : decisionLines(sandbox.decision)],
    ['Command', spec.command.length === 0 ? 'the image’s' : commandText(spec.command)],
    ['Root', rootText(spec.root)],
    ['Volumes', spec.volumes.map(volumeText)],
    ['Seccomp', spec.seccomp.profile],
    ['Limits', limitsText(spec.resources)],
    ['Landlock', landlockText(spec.landlock)],
    ['Directory', spec.cwd ?? (spec.root.type === 'oci' ? 'the image’s' : '/')],
    ['User', `${userText(spec)}${idRange === null ? '' : `, outside ${idRange.start}–${idRange.start + idRange.count - 1}`}`],
    ['Hostname', spec.hostname ?? sandbox.name],
    // Values may be secrets; JSON has them for who asks.
    ['Environment', Object.keys(spec.env)],
    ['Lifetime', lifetimeText(spec)],
    ['Stop', `${spec.stopSignal}, then after ${spec.stopGraceMs / 1000} s SIGKILL`],
    ['Constraint', spec.constraint ?? null],
    ['Labels', Object.entries(sandbox.labels).map(([key, value]) => `${key}=${value}`)],
    ['Auto-remove', sandbox.autoRemove ? 'yes' : 'no'],
    ['Init pid', sandbox.initPid],
    ['Command pid', sandbox.commandPid],
    ['Namespaces', sandbox.namespaces.map(({ type, inode, key }) => `${type.padEnd(6)} ${inode} (${key})`)],
    ['Created', absoluteAndAgo(sandbox.createdAt, now)],
    ['Started', absoluteAndAgo(startedAt, now)],
    ['Ended', absoluteAndAgo(endedAt, now)],
    ['Ran for', ran],
    ...observedFields(sandbox),
  ];
}

function errorFields({ error }: Sandbox): Field[] {
  return error === null
    ? []
    : [
        ['Error', `${error.code}: ${error.message}`],
        ['What to do', error.remedy],
      ];
}

function landlockText({ readable, writable, bindTcp, connectTcp }: Sandbox['spec']['landlock']): string[] {
  const ports = (numbers: number[]): string => numbers.join(', ') || 'none';
  return [
    ...readable.map((path) => `${path} (read-only)`),
    ...writable.map((path) => `${path} (writable)`),
    ...(bindTcp === undefined ? [] : [`TCP ports to listen on: ${ports(bindTcp)}`]),
    ...(connectTcp === undefined ? [] : [`TCP ports to connect to: ${ports(connectTcp)}`]),
  ];
}

function rootText(root: SandboxRoot): string {
  if (root.type === 'host') return 'host (its /usr, read-only)';
  const where = root.upper.type === 'memory' ? `, at most ${root.upper.sizeBytes} bytes of them, in memory` : '';
  const name =
    root.type === 'oci' && root.reference !== undefined ? ` (image ${root.reference})` : root.type === 'directory' ? '' : ` (${root.type})`;
  return `${root.path}${name}${root.writable ? ` (changes are dropped with the sandbox${where})` : ' (read-only)'}`;
}

function volumeText(volume: Volume): string {
  const source = volume.type === 'bind' ? volume.source : `tmpfs of ${volume.sizeBytes} bytes`;
  const words = [volume.readonly ? 'read-only' : '', volume.noexec ? 'noexec' : ''].filter((word) => word !== '');
  return `${volume.target} ← ${source}${words.length === 0 ? '' : ` (${words.join(', ')})`}`;
}

function userText({ user, root }: Sandbox['spec']): string {
  if (user === undefined) return root.type === 'oci' ? 'the image’s' : '0:0';
  const { uid, gid, groups } = user;
  return [gid === undefined ? String(uid) : `${uid}:${gid}`, ...groups.map((group) => `+${group}`)].join(' ');
}

/** As cgroup v2 names them; what is not limited is not named. */
function limitsText(resources: Sandbox['spec']['resources']): string[] {
  const { io = [], ...numbers } = resources;
  const sized = /Bytes$/;
  const lines = Object.entries(numbers).map(([name, value]) => `${name} ${sized.test(name) ? bytesText(value) : value}`);
  return [
    ...lines,
    ...io.map(({ device, ...limits }) => [`io ${device}`, ...Object.entries(limits).map((pair) => pair.join(' '))].join(', ')),
  ];
}

function lifetimeText({ ttlMs, idleMs, deadline }: Sandbox['spec']): string[] {
  return [
    ...(ttlMs === undefined ? [] : [`${durationText(ttlMs)} from its start`]),
    ...(idleMs === undefined ? [] : [`${durationText(idleMs)} of idleness`]),
    ...(deadline === undefined ? [] : [`until ${deadline}`]),
  ];
}
