/** `--root` and what goes with it, as the contract's root: pure. */
import type { SandboxSpecInput } from '#shared/sandbox.ts';
import { sizeBytes } from './sizes.ts';
import { wrong } from './values.ts';

export type RootOptions = {
  root?: string;
  readOnly?: boolean;
  rootSize?: string;
  platform?: string;
  entrypoint?: string;
};

type Root = NonNullable<SandboxSpecInput['root']>;

/** As skopeo and podman name them. */
const imagePrefix = /^(?:oci|oci-archive|docker-archive):/u;

export function isImage(root: string): boolean {
  return imagePrefix.test(root);
}

/** `host`, a directory, `tar:/archive`, `oci:/layout` or `oci:/layout:name`. USAGE for an option that does not go with it. */
export function rootOption({ root = 'host', readOnly, rootSize, platform, entrypoint }: RootOptions): Root {
  const image = isImage(root);
  if (!image && platform !== undefined) throw wrong('--platform', platform, 'a root that is an image: --root oci:/path');
  if (!image && entrypoint !== undefined) throw wrong('--entrypoint', entrypoint, 'a root that is an image: --root oci:/path');
  if (root === 'host') {
    // The host's /usr is read-only in any case.
    if (rootSize === undefined) return { type: 'host' };
    throw wrong('--root-size', rootSize, 'a root with a writable layer, which the host’s is not');
  }
  const rest = {
    writable: readOnly !== true,
    ...(rootSize === undefined ? {} : { upper: { type: 'memory', sizeBytes: sizeBytes('--root-size', rootSize) } as const }),
  };
  if (root.startsWith('tar:')) return { type: 'tarball', path: root.slice('tar:'.length), ...rest };
  if (!image) return { type: 'directory', path: root, ...rest };
  const text = root.replace(imagePrefix, '');
  const at = text.indexOf(':');
  return {
    type: 'oci',
    path: at < 0 ? text : text.slice(0, at),
    ...(at < 0 ? {} : { reference: text.slice(at + 1) }),
    ...(platform === undefined ? {} : { platform }),
    ...(entrypoint === undefined ? {} : { entrypoint: entrypoint === '' ? [] : [entrypoint] }),
    ...rest,
  };
}
