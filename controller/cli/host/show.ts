/** `nsfleet host show`. */
import type { Host } from '#shared/resources.ts';
import { connect } from '../connection.ts';
import { printBlock } from '../output/block.ts';
import type { Field } from '../output/block.ts';
import { printJson } from '../output/json.ts';
import { bytesText } from '../output/sizes.ts';
import { absoluteAndAgo } from '../output/times.ts';
import type { Session } from '../session.ts';

/** Prints one host, named by id or name. */
export async function showHost(session: Session, name: string): Promise<number> {
  const host = await connect(session).client.call('hostShow', { params: { host: name } });
  if (session.json) printJson(session, host);
  else printBlock(session, hostFields(host, session.now()));
  return 0;
}

function hostFields(host: Host, now: Date): Field[] {
  return [
    ['ID', host.id],
    ['Name', host.name],
    ['Status', `${host.status}${host.statusReason === '' ? '' : `: ${host.statusReason}`}`],
    ['Labels', Object.entries(host.labels).map(([key, value]) => `${key}=${value}`)],
    ['Sandboxes', `${host.used.sandboxes} of ${host.capacity.sandboxes}`],
    ['Id ranges', `${host.used.idRanges} of ${host.capacity.idRanges}`],
    ['Namespaces', host.namespaces],
    ['Boot', host.bootId],
    ...factFields(host.facts),
    ['Enrolled', absoluteAndAgo(host.enrolledAt, now)],
    ['Last heard', absoluteAndAgo(host.lastBeatAt, now)],
    ['Last report', absoluteAndAgo(host.lastReportAt, now)],
    ...scanFields(host.scan),
  ];
}

function factFields(facts: Host['facts']): Field[] {
  if (facts === null) return [['Facts', 'its agent has not said hello yet']];
  return [
    ['System', facts.operatingSystem],
    ['Kernel', `${facts.kernelRelease} ${facts.architecture}`],
    ['CPUs', facts.cpus],
    ['Memory', bytesText(facts.memoryBytes)],
    ['Agent', `${facts.agentVersion}, ${facts.privileged ? 'as root' : 'as a plain user'}`],
    ['Namespace ids', facts.namespaceIds ? 'from the kernel (NS_GET_ID)' : 'inode and generation (kernel before 6.13)'],
    ['Scans', facts.scanSource === 'bpf' ? 'with a BPF iterator' : because('through /proc', facts.scanSourceReason)],
    ['Changes', because(changeSourceText[facts.changeSource], facts.changeSourceReason)],
    ['Missing', facts.missing],
  ];
}

const changeSourceText: Record<NonNullable<Host['facts']>['changeSource'], string> = {
  tracefs: 'heard at once (tracefs)',
  'proc-connector': 'births and ends heard at once (proc connector), joined namespaces polled for',
  poll: 'polled for',
};

function because(text: string, reason: string | null): string {
  return reason === null ? text : `${text}: ${reason}`;
}

function scanFields(scan: Host['scan']): Field[] {
  if (scan === null) return [['Last scan', null]];
  const { processes, threads, unreadable, vanished, hidden, partial, durationMicros } = scan;
  const looked = `${processes} processes${threads === 0 ? '' : ` and ${threads} threads that are elsewhere`}`;
  const reasons = Object.entries(hidden).map(([reason, count]) => `${count} ${hiddenText(reason)}`);
  const lines = [
    ...(unreadable === 0 ? [] : [`${unreadable} ${unreadable === 1 ? 'process' : 'processes'} with a namespace that could not be read`]),
    ...reasons,
  ];
  return [
    ['Last scan', `${looked} in ${(durationMicros / 1000).toFixed(1)} ms, ${vanished} ended meanwhile`],
    ['Hidden', lines.length === 0 ? 'nothing' : lines],
    ['Complete', partial ? 'no: a namespace or holder may be missing, because of what was hidden' : 'yes'],
  ];
}

const hiddenWords: Readonly<Record<string, string>> = {
  fd: 'descriptors',
  thread: 'threads',
  thread_fd: 'descriptors of threads',
  socket: 'sockets',
  tun: 'tun devices',
  namespace: 'namespaces',
  mountinfo: 'mount tables',
  mount_namespace: 'mount namespaces',
};
const errnoWords: Readonly<Record<string, string>> = { eacces: 'EACCES', eperm: 'EPERM', other: 'for another reason' };

/** `fd_eacces` as `descriptors could not be looked into: EACCES`; JSON has the reason's own name. */
function hiddenText(reason: string): string {
  const [, what = '', errno = ''] = /^(.*)_(eacces|eperm|other)$/u.exec(reason) ?? [];
  const words = hiddenWords[what];
  return words === undefined ? reason.replaceAll('_', ' ') : `${words} could not be looked into: ${errnoWords[errno]}`;
}
