/** OCI layouts and archives for tests, by hand. */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { tarOf } from './tar.ts';
import type { TarFields } from './tar.ts';

export type TestLayer = {
  /** not compressed */
  archive: Buffer;
  packing?: 'plain' | 'gzip' | 'zstd';
};
export type TestImage = {
  layers: readonly TestLayer[];
  /** the configuration’s `config` */
  config?: object;
  reference?: string;
  platform?: { os: string; architecture: string; variant?: string };
};
export type TestLayout = { files: Map<string, Buffer>; digests: { manifest: string; diffIds: string[]; blobs: string[] }[] };

const packers = {
  plain: (bytes: Buffer) => bytes,
  gzip: (bytes: Buffer) => gzipSync(bytes),
  zstd: (bytes: Buffer) => zstdCompressSync(bytes),
};
const hostArchitecture = process.arch === 'x64' ? 'amd64' : process.arch;

export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Every file of a layout with these images, by its path. */
export function layoutOf(images: readonly TestImage[]): TestLayout {
  const files = new Map<string, Buffer>();
  const put = (bytes: Buffer) => {
    const digest = digestOf(bytes);
    files.set(`blobs/sha256/${digest.slice(7)}`, bytes);
    return { digest, size: bytes.length };
  };
  const json = (value: object) => Buffer.from(JSON.stringify(value));
  const digests: TestLayout['digests'] = [];
  const manifests = images.map(({ layers, config = {}, reference, platform = { os: 'linux', architecture: hostArchitecture } }) => {
    const packed = layers.map(({ archive, packing = 'gzip' }) => ({
      mediaType: `application/vnd.oci.image.layer.v1.tar${packing === 'plain' ? '' : `+${packing}`}`,
      ...put(packers[packing](archive)),
    }));
    const diffIds = layers.map(({ archive }) => digestOf(archive));
    const { os, architecture } = platform;
    const configuration = put(json({ os, architecture, config, rootfs: { type: 'layers', diff_ids: diffIds } }));
    const manifest = put(
      json({
        schemaVersion: 2,
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...configuration },
        layers: packed,
      }),
    );
    digests.push({ manifest: manifest.digest, diffIds, blobs: packed.map(({ digest }) => digest) });
    return {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      ...manifest,
      platform,
      ...(reference === undefined ? {} : { annotations: { 'org.opencontainers.image.ref.name': reference } }),
    };
  });
  files.set('oci-layout', json({ imageLayoutVersion: '1.0.0' }));
  files.set('index.json', json({ schemaVersion: 2, manifests }));
  return { files, digests };
}

export function writeLayout(directory: string, { files }: TestLayout): string {
  mkdirSync(join(directory, 'blobs/sha256'), { recursive: true });
  for (const [path, bytes] of files) writeFileSync(join(directory, path), bytes);
  return directory;
}

export function archiveOf({ files }: TestLayout): Buffer {
  const entries = [...files].map(([path, content]): TarFields => ({ path, content }));
  return tarOf([{ path: 'blobs/', type: '5' }, ...entries]);
}
