/** What holds a namespace, as lines for people. */
import type { Holder } from '#shared/resources.ts';
import { raw, shown } from '../output/raw.ts';
import type { Shown } from '../output/raw.ts';
import { durationText, elapsedMs } from '../output/times.ts';

/** Of each kind; a host's own namespaces have hundreds of processes. */
const shownOfKind = 10;

const kindWords: Readonly<Record<Holder['kind'], readonly [one: string, many: string]>> = {
  process: ['process', 'processes'],
  thread: ['thread', 'threads'],
  pid_for_children: ['process for its children', 'processes for their children'],
  time_for_children: ['process for its children', 'processes for their children'],
  fd: ['descriptor', 'descriptors'],
  thread_fd: ['descriptor of a thread', 'descriptors of threads'],
  socket: ['socket', 'sockets'],
  tun: ['tun device', 'tun devices'],
  mount: ['mount', 'mounts'],
  parent: ['namespace below it', 'namespaces below it'],
  owner: ['namespace that it owns', 'namespaces that it owns'],
};

/** First how many of each kind, then a line each; of a kind that has many the first ones, unless `all`. */
export function holderLines(holders: readonly Holder[], all: boolean, now: Date): (string | Shown)[] {
  if (holders.length === 0) return ['none that can be seen'];
  const kinds = [...Map.groupBy(holders, ({ kind }) => kind)];
  const counts = kinds.map(([kind, list]) => `${list.length} ${kindWords[kind][list.length === 1 ? 0 : 1]}`);
  const lines = kinds.flatMap(([kind, list]) => {
    const told = all ? list : list.slice(0, shownOfKind);
    const more = list.length - told.length;
    return [...told.map((holder) => holderLine(holder, now)), ...(more === 0 ? [] : [`… and ${more} more ${kindWords[kind][1]} (--all)`])];
  });
  return holders.length === 1 ? lines : [counts.join(', '), ...lines];
}

/** `fd 5 of process 12 (sleep), uid 0, for 3 minutes` */
function holderLine(holder: Holder, now: Date): Shown {
  const { namespace, uid, since } = holder;
  if (namespace !== null)
    return shown`${holder.kind === 'parent' ? 'below it' : 'owned by it'}: ${namespace.type} namespace ${namespace.id} (${namespace.key})`;
  return shown`${subject(holder)}${uid === null ? '' : `, uid ${uid}`}${since === null ? '' : `, for ${durationText(elapsedMs(since, null, now))}`}`;
}

function subject(holder: Holder): Shown {
  const { kind, pid, tid, fd, path, detail, mountNamespace } = holder;
  const process = shown`process ${pid ?? '?'}${holder.comm === null ? '' : shown` (${holder.comm})`}`;
  switch (kind) {
    case 'process':
      return process;
    case 'thread':
      return shown`thread ${tid} of ${process}`;
    case 'pid_for_children':
    case 'time_for_children':
      return shown`${kind} of ${process}`;
    case 'fd':
      return shown`fd ${fd} of ${process}`;
    case 'thread_fd':
      return shown`fd ${fd} of thread ${tid} of ${process}`;
    case 'socket':
    case 'tun':
      return shown`${kind} fd ${fd} of ${process}${detail === null ? '' : shown`: ${detail}`}`;
    case 'mount':
      return shown`mount ${path ?? 'on a path that is not known'}${mountNamespace === null ? '' : ` in mnt namespace ${mountNamespace}`}${detail === null ? '' : shown`, ${detail}`}`;
    case 'parent':
    case 'owner':
      return shown`namespace that has just gone (${kind})`;
  }
}

/** A holder as an event tells of it: what is there of it, nothing where nothing is. */
export function toldHolder(holder: Readonly<Record<string, unknown>>): Shown {
  const number = (name: string): number | null => (typeof holder[name] === 'number' ? holder[name] : null);
  const text = (name: string): Shown | null => (typeof holder[name] === 'string' ? raw(holder[name]) : null);
  const isDescriptor = number('fd') !== null && (holder['kind'] === 'fd' || holder['kind'] === 'thread_fd');
  const of = (word: string, value: number | Shown | null): Shown | string => (value === null ? '' : shown` ${word}${value}`);
  const comm = text('comm');
  return shown`${isDescriptor ? '' : of('', text('kind'))}${of('fd ', number('fd'))}${of('thread ', number('tid'))}${of('of process ', number('pid'))}${comm === null ? '' : shown` (${comm})`}${of('', text('path'))}${of('', text('detail'))}`;
}
