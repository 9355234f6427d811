/** What of the host a sandbox is to be made from: by real paths, so that what the policy judges is what the shim opens, or fails to. */
import { lstatSync, realpathSync } from 'node:fs';
import { NsfleetError, errorText } from '#shared/errors.ts';
import type { SandboxSpec } from '#shared/sandbox.ts';
import type { Volume } from '#shared/volume.ts';
import { checkSpec } from '../policy.ts';
import type { Policy } from '../policy/model.ts';
import type { JudgedVolume } from './volumes.ts';

export type SandboxSources = {
  spec: SandboxSpec;
  /** directories that make up a root that is not the host's, the uppermost first */
  layers: string[];
  volumes: JudgedVolume[];
};

/** As it may be made here. ROOT_REFUSED, VOLUME_REFUSED, POLICY_REFUSED. */
export function allowedSources(asked: SandboxSpec, policy: Policy, name: string): SandboxSources {
  const volumes = asked.volumes.map(withRealSource);
  const spec = { ...withRealRoot(asked), volumes: volumes.map(({ volume }) => volume) };
  checkSpec(spec, policy, name);
  return {
    spec,
    layers: spec.root.type === 'directory' ? [spec.root.path] : [],
    volumes: volumes.map(({ volume, directory }) => (volume.type === 'bind' ? { ...volume, directory } : volume)),
  };
}

/** The spec with its root's real path. ROOT_REFUSED where it is a symbolic link, no directory, or not there. */
function withRealRoot(spec: SandboxSpec): SandboxSpec {
  if (spec.root.type !== 'directory') return spec;
  const asked = spec.root.path;
  const refuse = (reason: string, cause?: unknown) =>
    new NsfleetError('ROOT_REFUSED', { attempted: 'use as a root', target: asked, reason, cause });
  try {
    const about = lstatSync(asked);
    if (!about.isDirectory()) throw refuse(about.isSymbolicLink() ? 'it is a symbolic link' : 'it is no directory');
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
