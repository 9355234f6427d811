/**
 * `ns reap`: takes away what pins a namespace in which nothing lives. Steps are computed from what the last scan shows, shown, and each is checked
 * against the namespace's id when it is taken. What a process holds is left alone: to take a descriptor from a process is to break it.
 */
import { openSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { Fd } from '#native/handles.ts';
import { NativeError } from '#native/native-error.ts';
import type { NamedNamespace, ReapOutcome, ReapStep } from '#shared/act.ts';
import { asNsfleetError } from '#shared/errors.ts';
import type { ReportedReference } from '#shared/inventory.ts';
import { rawBytes } from '#shared/raw-text.ts';
import type { Model } from '../inventory/model.ts';
import { releaseEmpty } from './keep.ts';
import type { KeepParts } from './keep.ts';
import { forgetName } from './request-notes.ts';
import { idOf } from './open-namespace.ts';

/** Pure: what would be done, or why nothing. `ownMountInode`: of the agent's mount namespace. */
export function planReap(
  model: Model,
  { type, key }: NamedNamespace,
  ownMountInode: number,
  keepDirectories: readonly string[],
): ReapOutcome {
  const refuse = (refused: string): ReapOutcome => ({ type, key, steps: [], done: false, refused });
  const namespace = model.namespaces.get(`${type} ${key}`);
  if (namespace === undefined) return refuse('this host has no such namespace, or not any more');
  if (namespace.processCount > 0) return refuse(`${namespace.processCount} processes live in it`);
  const references = [...model.references.values()].filter((reference) => reference.type === type && reference.key === key);
  const held = references.find(({ kind }) => kind !== 'mount');
  if (held !== undefined) return refuse(`${held.kind} of process ${held.pid} holds it: end that process, or let it close it`);
  const below = [...model.namespaces.values()].find((other) =>
    other.owner === key && type === 'user' ? true : other.type === type && other.parent === key,
  );
  if (below !== undefined) return refuse(`${below.type} namespace ${below.key} holds it`);
  const mounts = references.filter(({ path }) => path !== null);
  if (mounts.length === 0) return refuse('nothing that can be taken away is seen to hold it');
  const steps = mounts.flatMap((mount) => stepsOf(mount, model, ownMountInode, keepDirectories));
  return { type, key, steps, done: false, refused: null };
}

function stepsOf(mount: ReportedReference, model: Model, ownMountInode: number, keepDirectories: readonly string[]): ReapStep[] {
  const own = model.namespaces.get(`mnt ${mount.mountNamespace}`)?.inode === ownMountInode;
  const path = mount.path ?? '';
  const step = { path, mountNamespace: own ? null : mount.mountNamespace };
  const unmount: ReapStep = { action: 'unmount', ...step };
  // The empty file that stays behind is an ip-netns name that leads nowhere.
  return own && keepDirectories.some((directory) => path.startsWith(`${directory}/`))
    ? [unmount, { action: 'unlink', ...step }]
    : [unmount];
}

/**
 * Takes the steps of one outcome; the first that fails ends it, and is told. A mount that is not there any more is no failure: where mounts propagate,
 * one step takes those of other mount namespaces along.
 */
export async function takeSteps(parts: KeepParts, model: Model, outcome: ReapOutcome, proc = '/proc'): Promise<ReapOutcome> {
  if (outcome.refused !== null) return outcome;
  const namespace = model.namespaces.get(`${outcome.type} ${outcome.key}`);
  const steps: ReapStep[] = [];
  let goneUnmount: ReapStep | null = null;
  for (const step of outcome.steps) {
    // What was not unmounted here is not ours to unlink: somebody may just be making a namespace of that name.
    if (step.action === 'unlink' && goneUnmount?.path === step.path) continue;
    try {
      await takeStep(parts, model, step, { inode: namespace?.inode ?? 0, id: idOf(outcome.key) }, proc);
      steps.push(step);
    } catch (error) {
      if (isGone(error)) {
        goneUnmount = step;
        continue;
      }
      const { reason, code } = asNsfleetError(error, step.action, step.path);
      return { ...outcome, steps, done: false, refused: `${step.action} ${step.path}: ${reason} (${code})` };
    }
  }
  await releaseEmpty(parts);
  return steps.length > 0 ? { ...outcome, steps, done: true } : { ...outcome, steps, refused: 'what held it is not there any more' };
}

function isGone(error: unknown): boolean {
  if (error instanceof NativeError) return error.errname === 'ESTALE' || error.errname === 'ENOENT';
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

type Identity = { inode: number; id: string | null };

async function takeStep({ runner, directories }: KeepParts, model: Model, step: ReapStep, identity: Identity, proc: string): Promise<void> {
  const path = Buffer.from(rawBytes(step.path)).toString();
  if (step.action === 'unlink') {
    unlinkSync(path);
    forgetName(directories, path.slice(dirname(path).length + 1));
    return;
  }
  if (step.mountNamespace === null) return runner.native.unmount({ path, mountNamespace: null, ...identity });
  const leader = model.namespaces.get(`mnt ${step.mountNamespace}`)?.leader;
  if (leader === null || leader === undefined) throw new Error('no process lives in that mount namespace, so that it cannot be entered');
  using mountNamespace = new Fd(openSync(`${proc}/${leader.pid}/ns/mnt`, 'r'));
  const seen = runner.native.relate({ fd: mountNamespace });
  if (seen.inode !== model.namespaces.get(`mnt ${step.mountNamespace}`)?.inode)
    throw new Error('that process has left the mount namespace');
  await runner.native.unmount({ path, mountNamespace, ...identity });
}
