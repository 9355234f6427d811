/** `ns create` and `ns attach`: namespaces on files. The shim makes and mounts, all or nothing (native/shim/keep.c). */
import { existsSync, mkdirSync, openSync, readdirSync, rmdirSync } from 'node:fs';
import { Socket } from 'node:net';
import { dirname } from 'node:path';
import { Fd } from '#native/handles.ts';
import { errnoName } from '#native/native-error.ts';
import type { KeepRequest, KeptNamespace, KeptType } from '#shared/act.ts';
import { NsfleetError } from '#shared/errors.ts';
import { namespaceKey } from '#shared/namespace.ts';
import type { RunnerParts } from '../sandbox/runner.ts';
import { endShim } from '../sandbox/runner.ts';
import { openShimLink } from '../sandbox/shim-link.ts';
import type { Turns } from '../sandbox/turns.ts';
import { keptPath } from './kept-files.ts';
import type { KeptDirectories } from './kept-files.ts';
import { isRepeat, noteRequest } from './request-notes.ts';

export type KeepParts = {
  runner: Pick<RunnerParts, 'native' | 'program'>;
  directories: KeptDirectories;
  generationOf: (inode: number) => number;
  /** One at a time: a repeat that comes while the first is at it finds all of it. */
  turns: Turns;
};

/** A few mounts; a host that swaps takes longer. */
const keepTimeoutMs = 10_000;

/**
 * Makes new namespaces and keeps them. A repeat with the same `requestKey` finds what the first has made; IDEMPOTENCY_KEY_REUSED where that one was another
 * request. NAMESPACE_NAME_TAKEN where another request has that name; NAMESPACE_ACTION_FAILED with the step; then nothing is left.
 */
export function keepNew(parts: KeepParts, request: KeepRequest, requestKey: string): Promise<KeptNamespace[]> {
  return parts.turns.take(() => keepInTurn(parts, request, requestKey));
}

async function keepInTurn(parts: KeepParts, request: KeepRequest, requestKey: string): Promise<KeptNamespace[]> {
  const { directories } = parts;
  const { name, types } = request;
  const files = types.map((type) => ({ type, path: keptPath(directories, name, type) }));
  makeDirectories(directories);
  const repeat = isRepeat(directories, request, requestKey);
  if (files.some(({ path }) => existsSync(path))) {
    if (repeat && files.every(({ path }) => existsSync(path))) return files.map((file) => describe(parts, file));
    throw taken('create namespaces', name);
  }
  await mountAll(parts, 'create namespaces', name, files, null);
  if (!repeat) noteRequest(directories, request, requestKey);
  return files.map((file) => describe(parts, file));
}

/** Keeps the namespace open at `source`, which was verified, under a name too. */
export async function keepExisting(parts: KeepParts, name: string, type: KeptType, source: Fd): Promise<KeptNamespace> {
  const file = { type, path: keptPath(parts.directories, name, type) };
  makeDirectories(parts.directories);
  if (existsSync(file.path)) throw taken('attach a name to a namespace', name);
  await mountAll(parts, 'attach a name to a namespace', name, [file], source);
  return describe(parts, file);
}

function makeDirectories({ netns, others }: KeptDirectories): void {
  mkdirSync(netns, { recursive: true, mode: 0o755 });
  mkdirSync(others, { recursive: true, mode: 0o755 });
}

type File = { type: KeptType; path: string };

async function mountAll(parts: KeepParts, attempted: string, name: string, files: readonly File[], source: Fd | null): Promise<void> {
  const { directories } = parts;
  // Shared as ip-netns(8) has it; private, because a mount namespace cannot be mounted where that would propagate.
  const words: string[] = [];
  if (files.some(({ type }) => type === 'net')) words.push('shared', directories.netns);
  if (files.some(({ type }) => type === 'mnt')) words.push('private', directories.others);
  for (const { type, path } of files) words.push(...(source === null ? [] : ['source', '/proc/self/fd/5']), type, path);
  // The private directory is mounted on itself by the shim: what is made in it before must be seen after.
  const ownDirectory = `${directories.others}/${name}`;
  const isNew = !existsSync(ownDirectory);
  mkdirSync(ownDirectory, { recursive: true, mode: 0o755 });
  try {
    await runKeep(parts, words, source, attempted, name);
  } catch (error) {
    if (isNew) rmdirSync(ownDirectory);
    throw error;
  }
}

async function runKeep(parts: KeepParts, words: readonly string[], source: Fd | null, attempted: string, name: string): Promise<void> {
  const { native, program } = parts.runner;
  using fds = new DisposableStack();
  const sealed = fds.use(native.sealBytes(Buffer.from(words.map((word) => `${word}\0`).join('')), 'nsfleet-keep'));
  const nothing = fds.use(new Fd(openSync('/dev/null', 'r+')));
  const [ours, theirs] = native.socketpair();
  fds.use(ours);
  fds.use(theirs);
  const failed = (reason: string) => new NsfleetError('NAMESPACE_ACTION_FAILED', { attempted, target: name, reason });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const child = native.spawn({
    program,
    args: ['nsfleet-shim', 'keep'],
    fds: [nothing, nothing, nothing, sealed, theirs, source ?? nothing],
    newSession: true,
  });
  const link = openShimLink(new Socket({ fd: ours.take(), readable: true, writable: true }), {
    onWord(word) {
      if (word.type === 'exit') resolve();
      if (word.type !== 'failed') return;
      const { step, detail, errnum } = word.failure;
      const errname = errnoName(errnum);
      if (step === 'create' && errname === 'EEXIST') reject(taken(attempted, name));
      else reject(failed(`${step}${detail === '-' ? '' : ` ${detail}`}: ${errname} (${errnum})`));
    },
    onClose: () => reject(failed('its shim died')),
  });
  const timer = setTimeout(() => reject(failed(`no answer after ${keepTimeoutMs} ms`)), keepTimeoutMs);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    link.close();
    await endShim(child);
  }
}

function describe({ runner, generationOf }: KeepParts, { type, path }: File): KeptNamespace {
  const { inode, id } = runner.native.relate({ path });
  return { type, path, inode, key: namespaceKey(inode, id, generationOf(inode)) };
}

function taken(attempted: string, name: string): NsfleetError {
  return new NsfleetError('NAMESPACE_NAME_TAKEN', { attempted, target: name, reason: 'another namespace is kept under that name' });
}

/** Where nothing is kept any more, nothing stays mounted. ip-netns(8) makes its directory anew when it needs it. */
export async function releaseEmpty(parts: KeepParts): Promise<void> {
  const { netns, others } = parts.directories;
  const empty = [netns, others].filter(isEmpty);
  if (empty.length === 0) return;
  const words = empty.flatMap((directory) => ['release', directory]);
  await runKeep(parts, words, null, 'release mount points', words.join(' '));
  for (const directory of empty) removeEmpty(directory);
  if (empty.includes(others)) removeEmpty(dirname(others));
}

function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Somebody keeps something there again, or mounts on it still.
  }
}

function isEmpty(directory: string): boolean {
  try {
    return readdirSync(directory).length === 0;
  } catch {
    return false;
  }
}
