/**
 * Namespaces that a new sandbox joins: found by what the spec names, opened, and pinned by the descriptor. What is read of one is read while its
 * process is held by a pidfd, so that no pid that passed on can stand for it; the shim checks type and id of the descriptor once more as it joins.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import type { Native } from '#native/binding.ts';
import { Fd } from '#native/handles.ts';
import type { NamespaceRelation, ProcessHandle } from '#native/types.ts';
import { NsfleetError, errorText } from '#shared/errors.ts';
import type { NamespaceType } from '#shared/namespace.ts';
import type { PlanIdMap } from '#shared/plan.ts';
import { choiceOf, sourceText } from '#shared/sandbox-namespaces.ts';
import type { NamespaceChoice } from '#shared/sandbox-namespaces.ts';
import type { SandboxSpec } from '#shared/sandbox.ts';
import type { Model } from '../inventory/model.ts';
import { openNamespace } from '../namespaces/open-namespace.ts';
import { mapProblems } from './identity.ts';
import type { Identity, Owner } from './identity.ts';
import { joinOrder, nothingJoined } from './join-facts.ts';
import type { JoinFacts } from './join-facts.ts';
import type { ProcessIdentity } from './record.ts';

const attempted = 'join a namespace for sandbox';
/** linux/fcntl.h; Node does not name it. */
const oPath = 0o10000000;

export type JoinParts = {
  native: Native;
  owner: Owner;
  /** PID 1 of the sandbox of that name that runs here, or null */
  initOf: (name: string) => ProcessIdentity | null;
  /** what the host shows now */
  model: () => Promise<Model>;
};

/** `targets` are open, in the order of the joins; the caller disposes of them. */
export type JoinTargets = Disposable & { facts: JoinFacts; targets: readonly Fd[] };

type Opened = { type: NamespaceType; choice: NamespaceChoice; fd: Fd; relation: NamespaceRelation; ids: Identity | null };

/** NAMESPACE_NOT_FOUND, or JOIN_REFUSED with every reason; nothing stays open then. */
export async function openJoins(parts: JoinParts, spec: SandboxSpec, name: string): Promise<JoinTargets> {
  using fds = new DisposableStack();
  const privileged = parts.owner.uid === 0;
  const opened: Opened[] = [];
  for (const type of joinOrder(privileged)) {
    const choice = choiceOf(spec.namespaces, type);
    if (choice.from === 'new' || choice.from === 'host') continue;
    const one = await openOne(parts, type, choice, name);
    fds.use(one.fd);
    opened.push(one);
  }
  const problems = problemsOf(parts, spec, opened);
  if (problems.length > 0) throw new NsfleetError('JOIN_REFUSED', { attempted, target: name, reason: problems.join('; ') });
  const user = opened.find(({ type }) => type === 'user') ?? null;
  const facts: JoinFacts =
    opened.length === 0
      ? nothingJoined
      : {
          joins: opened.map(({ type, relation: { id, inode } }) => ({ type, id, inode })),
          foreign: new Set(opened.filter((one) => one !== user && !owns(user, one)).map(({ type }) => type)),
          ids: user?.ids ?? null,
        };
  const kept = fds.move();
  return { facts, targets: opened.map(({ fd }) => fd), [Symbol.dispose]: () => kept.dispose() };
}

function owns(user: Opened | null, { relation }: Opened): boolean {
  return user !== null && relation.owner !== null && isSame(relation.owner, user.relation);
}

const isSame = (a: { inode: number; id: string | null }, b: { inode: number; id: string | null }): boolean =>
  a.inode === b.inode && a.id === b.id;

/** What the kernel would refuse, or what nobody can have meant, said before anything is made. */
function problemsOf({ native, owner }: JoinParts, spec: SandboxSpec, opened: readonly Opened[]): string[] {
  const sentences: string[] = [];
  const user = opened.find(({ type }) => type === 'user') ?? null;
  const userChoice = choiceOf(spec.namespaces, 'user');
  for (const one of opened) {
    const { type, choice, relation } = one;
    const word = `${type} of ${sourceText(choice)}`;
    if (isSame(native.relate({ path: `/proc/self/ns/${type}` }), relation)) {
      sentences.push(`${word} is the host’s own: ask for \`host\`, which its policy decides on`);
    } else if (type !== 'user' && !owns(user, one)) {
      const other = `is owned by a user namespace other than ${sourceText(userChoice)}`;
      if (owner.uid !== 0) sentences.push(`${word} ${other}: an agent that is no root can join it only together with that one`);
      else if (type === 'pid' && userChoice.from !== 'host') sentences.push(`${word} ${other}: its /proc cannot be mounted without it`);
      else if (type === 'mnt') sentences.push(`${word} ${other}: its files belong to that one’s ids`);
    }
  }
  if (user?.ids) {
    const maps = user.ids.idMaps;
    sentences.push(
      ...mapProblems(maps, spec.user ?? { uid: 0 }, owner.uid === 0 ? owner : null).map(
        (problem) => `user of ${sourceText(userChoice)}: ${problem}`,
      ),
    );
  }
  if (userChoice.from === 'host' && owner.uid !== 0) {
    sentences.push('user of the host: an agent that is no root can run nothing under other ids than its own; leave a user namespace to it');
  }
  for (const type of ['pid', 'mnt'] as const) {
    if (choiceOf(spec.namespaces, type).from === 'host' && userChoice.from !== 'host') {
      sentences.push(`${type} of the host needs user of the host, which owns it`);
    }
  }
  return sentences;
}

async function openOne(parts: JoinParts, type: NamespaceType, choice: NamespaceChoice, name: string): Promise<Opened> {
  const { native } = parts;
  const gone = (reason: string, cause?: unknown) =>
    new NsfleetError('NAMESPACE_NOT_FOUND', { attempted, target: name, reason: `${type} of ${sourceText(choice)}: ${reason}`, cause });
  const opened = (fd: Fd, ids: Identity | null): Opened => {
    try {
      const relation = native.relate({ fd });
      if (relation.type !== type) throw gone(`it is a ${relation.type} namespace`);
      return { type, choice, fd, relation, ids };
    } catch (error) {
      fd.close();
      throw error instanceof NsfleetError ? error : gone(errorText(error), error);
    }
  };
  switch (choice.from) {
    case 'sandbox': {
      const init = parts.initOf(choice.name);
      if (init === null) throw gone('no sandbox of that name runs on this host');
      return opened(...ofProcess(native, init, type, gone));
    }
    case 'pid': {
      let start: bigint;
      try {
        start = native.processStart(choice.pid);
      } catch (error) {
        throw gone(errorText(error), error);
      }
      return opened(...ofProcess(native, { pid: choice.pid, start: start.toString() }, type, gone));
    }
    case 'path': {
      const fd = openPath(choice.path, gone);
      return opened(fd, type === 'user' ? await idsOf(parts, native.relate({ fd }), fd, gone) : null);
    }
    case 'id': {
      const fd = openNamespace(native, await parts.model(), { type, key: `id:${choice.id}` });
      return opened(fd, type === 'user' ? await idsOf(parts, native.relate({ fd }), fd, gone) : null);
    }
    case 'new':
    case 'host':
      throw new TypeError(`${choice.from} is not joined`);
  }
}

type Gone = (reason: string, cause?: unknown) => NsfleetError;

/** Read between two looks at the pidfd: what is alive at the second one has had its pid all the time. */
function ofProcess(native: Native, identity: ProcessIdentity, type: NamespaceType, gone: Gone): [Fd, Identity | null] {
  let held: ProcessHandle;
  try {
    held = native.openProcess(identity.pid, BigInt(identity.start));
  } catch (error) {
    throw gone(errorText(error), error);
  }
  using process = held;
  let fd: Fd | null = null;
  try {
    fd = new Fd(openSync(`/proc/${identity.pid}/ns/${type}`, constants.O_RDONLY));
    const ids = type === 'user' ? readIds(identity.pid) : null;
    process.signal(0);
    return [fd, ids];
  } catch (error) {
    fd?.close();
    throw gone(errorText(error), error);
  }
}

/** Of a user namespace that was named without a process: by one that is in it. */
async function idsOf(parts: JoinParts, wanted: NamespaceRelation, fd: Fd, gone: Gone): Promise<Identity> {
  try {
    const model = await parts.model();
    for (const { pid } of model.processes.values()) {
      try {
        if (!isSame(parts.native.relate({ pid, type: 'user' }), wanted)) continue;
        const start = parts.native.processStart(pid).toString();
        const [again, ids] = ofProcess(parts.native, { pid, start }, 'user', gone);
        using _again = again;
        if (ids !== null && isSame(parts.native.relate({ fd: again }), wanted)) return ids;
      } catch {
        // It ended, or is another one by now: the next.
      }
    }
    throw gone('no process is in it, so nobody can tell its id maps');
  } catch (error) {
    fd.close();
    throw error;
  }
}

/** As this agent sees them: /proc/<pid>/uid_map is written in the terms of who reads it. */
function readIds(pid: number): Identity {
  const maps = (file: string): PlanIdMap[] =>
    readFileSync(`/proc/${pid}/${file}`, 'latin1')
      .split('\n')
      .filter((line) => line.trim() !== '')
      .slice(0, 8)
      .map((line) => {
        const [inside = 0, outside = 0, count = 0] = line.trim().split(/\s+/u).map(Number);
        return { inside, outside, count };
      });
  return {
    idMaps: { uid: maps('uid_map'), gid: maps('gid_map') },
    setgroupsDeny: readFileSync(`/proc/${pid}/setgroups`, 'latin1').trim() === 'deny',
  };
}

/** A device or a pipe at that path must not be opened by who only wants to look. */
function openPath(path: string, gone: Gone): Fd {
  let looked = -1;
  try {
    looked = openSync(path, oPath);
    if (fstatSync(looked).dev !== statSync('/proc/self/ns/net').dev) throw new Error('no namespace is there');
    return new Fd(openSync(`/proc/self/fd/${looked}`, constants.O_RDONLY));
  } catch (error) {
    throw gone(errorText(error), error);
  } finally {
    if (looked >= 0) closeSync(looked);
  }
}

/** The maps of a sandbox that joined the user namespace of another, asked of its PID 1, which the caller holds by a pidfd. */
export function joinedIdentity(spec: SandboxSpec, initPid: number): Identity | null {
  const { from } = choiceOf(spec.namespaces, 'user');
  return from === 'new' || from === 'host' ? null : readIds(initPid);
}
