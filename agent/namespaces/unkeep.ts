/** `ns rm`: takes the names of a kept namespace away; it ends when nothing else holds it. */
import { unlinkSync } from 'node:fs';
import type { KeptType } from '#shared/act.ts';
import { NsfleetError, asNsfleetError } from '#shared/errors.ts';
import type { NamespaceKey } from '#shared/namespace.ts';
import type { Model } from '../inventory/model.ts';
import { releaseEmpty } from './keep.ts';
import { idOf, wordOf } from './open-namespace.ts';
import type { KeepParts } from './keep.ts';
import { findKept } from './kept-files.ts';
import { forgetName } from './request-notes.ts';

export type UnkeepWish = { type: KeptType; key: NamespaceKey; force: boolean };

/** The paths that are gone. NAMESPACE_NOT_KEPT, NAMESPACE_IN_USE; a file that shows another namespace by now is left alone. */
export async function unkeep(parts: KeepParts, model: Model, { type, key, force }: UnkeepWish): Promise<string[]> {
  const attempted = 'remove';
  const target = wordOf({ type, key });
  const { native } = parts.runner;
  const files = findKept(parts.directories, native, parts.generationOf).filter((file) => file.type === type && file.key === key);
  if (files.length === 0) {
    throw new NsfleetError('NAMESPACE_NOT_KEPT', { attempted, target, reason: 'no file on this host keeps it under a name' });
  }
  const lives = model.namespaces.get(`${type} ${key}`)?.processCount ?? 0;
  if (lives > 0 && !force) {
    throw new NsfleetError('NAMESPACE_IN_USE', { attempted, target, reason: `${lives} processes live in it` });
  }
  for (const { path, inode, name } of files) {
    try {
      await native.unmount({ path, mountNamespace: null, inode, id: idOf(key) });
      unlinkSync(path);
    } catch (error) {
      throw asNsfleetError(error, 'remove', path);
    }
    forgetName(parts.directories, name);
  }
  await releaseEmpty(parts);
  return files.map(({ path }) => path);
}
