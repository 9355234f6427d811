/** What of the host a sandbox is to be made from: by real paths, so that what the policy judges is what the shim opens, or fails to. */
import { lstatSync, realpathSync } from 'node:fs';
import { NsfleetError, errorText } from '#shared/errors.ts';
import type { ArchiveRoot } from '#shared/root.ts';
import type { SandboxSpec } from '#shared/sandbox.ts';
import type { Volume } from '#shared/volume.ts';
import { commandOf, processOf, resolveProcess } from '../image/process.ts';
import type { ResolvedSpec } from '../image/process.ts';
import type { ImageStore, PreparedRoot } from '../image/store.ts';
import { checkSpec } from '../policy.ts';
import type { Policy } from '../policy/model.ts';
import type { JudgedVolume } from './volumes.ts';

export type SandboxSources = {
  spec: ResolvedSpec;
  /** directories that make up a root that is not the host's, the uppermost first */
  layers: string[];
  volumes: JudgedVolume[];
};

export type SourceParts = { policy: Policy; images: ImageStore };

/**
 * As it may be made here, its root unpacked where it comes as an archive; `directory` is the placement's. ROOT_REFUSED, VOLUME_REFUSED,
 * POLICY_REFUSED, IMAGE_REFUSED, STATE_DIRECTORY_UNUSABLE.
 */
export async function prepareSources(
  { policy, images }: SourceParts,
  asked: SandboxSpec,
  name: string,
  directory: string,
): Promise<SandboxSources> {
  const { spec, volumes } = allowedSpec(asked, policy, name);
  return withRoot(spec, volumes, (root) => images.prepare(root, directory));
}

/** The same for `--dry-run`: nothing is unpacked. */
export async function foreseeSources({ policy, images }: SourceParts, asked: SandboxSpec, name: string): Promise<SandboxSources> {
  const { spec, volumes } = allowedSpec(asked, policy, name);
  return withRoot(spec, volumes, (root) => images.foresee(root));
}

async function withRoot(
  spec: SandboxSpec,
  volumes: JudgedVolume[],
  prepare: (root: ArchiveRoot) => Promise<PreparedRoot>,
): Promise<SandboxSources> {
  const { root } = spec;
  if (root.type === 'host') return { spec: resolveProcess(spec, null), layers: [], volumes };
  if (root.type === 'directory') return { spec: resolveProcess(spec, null), layers: [root.path], volumes };
  const { layers, image } = await prepare(root);
  const command = commandOf(spec, image, root.path);
  return { spec: { ...resolveProcess(spec, image === null ? null : processOf(image)), command }, layers, volumes };
}

/** The spec with real paths, as the policy lets it be. Without waiting for anything. */
export function allowedSpec(asked: SandboxSpec, policy: Policy, name: string): { spec: SandboxSpec; volumes: JudgedVolume[] } {
  const volumes = asked.volumes.map(withRealSource);
  const spec = { ...withRealRoot(asked), volumes: volumes.map(({ volume }) => volume) };
  checkSpec(spec, policy, name);
  return { spec, volumes: volumes.map(({ volume, directory }) => (volume.type === 'bind' ? { ...volume, directory } : volume)) };
}

/** The spec with its root's real path. ROOT_REFUSED where it is a symbolic link, not there, or no directory (for an archive: no file either). */
function withRealRoot(spec: SandboxSpec): SandboxSpec {
  if (spec.root.type === 'host') return spec;
  const { type } = spec.root;
  const asked = spec.root.path;
  const refuse = (reason: string, cause?: unknown) =>
    new NsfleetError('ROOT_REFUSED', { attempted: 'use as a root', target: asked, reason, cause });
  try {
    const about = lstatSync(asked);
    if (about.isSymbolicLink()) throw refuse('it is a symbolic link');
    if (type === 'directory' && !about.isDirectory()) throw refuse('it is no directory');
    if (type === 'tarball' && !about.isFile()) throw refuse('it is no regular file');
    if (type === 'oci' && !about.isDirectory() && !about.isFile()) throw refuse('it is neither a directory nor a regular file');
    return { ...spec, root: { ...spec.root, path: realpathSync(asked) } };
  } catch (error) {
    throw error instanceof NsfleetError ? error : refuse(errorText(error), error);
  }
}

/** A bind with its source's real path. VOLUME_REFUSED where it is not there, or neither directory nor regular file. */
function withRealSource(volume: Volume): { volume: Volume; directory: boolean } {
  if (volume.type !== 'bind') return { volume, directory: true };
  const refuse = (reason: string, cause?: unknown) =>
    new NsfleetError('VOLUME_REFUSED', { attempted: 'mount', target: volume.source, reason, cause });
  try {
    const source = realpathSync(volume.source);
    const about = lstatSync(source);
    // A socket's other end is the host's, and a device is the host's own.
    if (!about.isDirectory() && !about.isFile()) throw refuse('it is neither a directory nor a regular file');
    return { volume: { ...volume, source }, directory: about.isDirectory() };
  } catch (error) {
    throw error instanceof NsfleetError ? error : refuse(errorText(error), error);
  }
}
