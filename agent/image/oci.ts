/** An image: from its index to its configuration and its layers, every document checked against the digest that named it. */
import { createHash } from 'node:crypto';
import type { z } from 'zod';
import type { Blobs } from './blobs.ts';
import { DockerManifest, ImageConfig, ImageIndex, Manifest, isIndex } from './oci-models.ts';
import type { Descriptor, Platform } from './oci-models.ts';
import { ArchiveError } from './refusal.ts';

export type ImageLayer = {
  /** of its archive, not compressed: what it is known by, however it came */
  diffId: string;
  /** where its archive lies */
  path: string;
  /** of its archive as it lies there; null: nobody has told */
  blob: { digest: string; size: number } | null;
};

export type Image = {
  /** of its manifest, or, where there is none, of its configuration */
  digest: string;
  /** the name that the layout has for it */
  reference: string | null;
  config: ImageConfig;
  /** the lowest first */
  layers: ImageLayer[];
};

export type ImageChoice = { reference: string | null; platform: Platform };

const documentMaxBytes = 4 * 1024 * 1024;
/** An index of indexes of indexes; deeper is a joke. */
const depthMax = 4;

/** Throws ArchiveError: no such image, more than one, a document that is not what its digest says. */
export async function readImage(blobs: Blobs, choice: ImageChoice): Promise<Image> {
  const index = await blobs.read('index.json', documentMaxBytes);
  if (index !== null) return ociImage(blobs, parse(ImageIndex, index, 'index.json').manifests, choice);
  const docker = await blobs.read('manifest.json', documentMaxBytes);
  if (docker !== null) return dockerImage(blobs, parse(DockerManifest, docker, 'manifest.json'), choice);
  throw new ArchiveError('open', 'it has neither index.json nor manifest.json: this is no OCI layout and no docker archive');
}

async function ociImage(blobs: Blobs, manifests: readonly Descriptor[], choice: ImageChoice): Promise<Image> {
  const named = choice.reference === null ? [...manifests] : manifests.filter((one) => isNamed(one, choice.reference ?? ''));
  if (named.length === 0) throw new ArchiveError('choose', `no image of it is ${choice.reference}; there are: ${namesOf(manifests)}`);
  const { descriptor, manifest } = await choose(blobs, named, choice, 0);
  const config = parse(ImageConfig, await verified(blobs, manifest.config), 'configuration');
  checkPlatform(config, choice.platform);
  const { diff_ids: diffIds } = config.rootfs;
  if (diffIds.length !== manifest.layers.length) throw new ArchiveError('verify', 'its configuration names another number of layers');
  return {
    digest: descriptor.digest,
    reference: referenceOf(named.find(({ digest }) => digest === descriptor.digest) ?? named[0] ?? descriptor),
    config,
    layers: manifest.layers.map(({ digest, size }, layer) => ({
      diffId: diffIds[layer] ?? '',
      path: blobPath(digest),
      blob: { digest, size },
    })),
  };
}

type Chosen = { descriptor: Descriptor; manifest: z.infer<typeof Manifest> };

async function choose(blobs: Blobs, candidates: readonly Descriptor[], choice: ImageChoice, depth: number): Promise<Chosen> {
  if (depth > depthMax) throw new ArchiveError('choose', 'its indexes lie too deep in each other');
  // One without a platform may be any; its configuration tells.
  const fitting = candidates.filter(({ platform }) => platform === undefined || fits(platform, choice.platform));
  const distinct = [...new Map(fitting.map((one) => [one.digest, one])).values()];
  const [only, ...others] = distinct;
  if (only === undefined)
    throw new ArchiveError(
      'choose',
      `none of its images is for ${platformText(choice.platform)}; there are: ${candidates.map(({ platform }) => platformText(platform ?? {})).join(', ')}`,
    );
  if (others.length > 0) throw new ArchiveError('choose', `it holds ${distinct.length} images: name one of ${namesOf(distinct)}`);
  const bytes = await verified(blobs, only);
  if (isIndex(only)) return choose(blobs, parse(ImageIndex, bytes, 'index').manifests, choice, depth + 1);
  return { descriptor: only, manifest: parse(Manifest, bytes, 'manifest') };
}

async function dockerImage(blobs: Blobs, images: z.infer<typeof DockerManifest>, choice: ImageChoice): Promise<Image> {
  const named = images.filter(({ RepoTags: tags }) => choice.reference === null || tags?.includes(choice.reference));
  const tags = images.flatMap((image) => image.RepoTags ?? []).join(', ');
  const [image, ...others] = named;
  if (image === undefined) throw new ArchiveError('choose', `no image of it is ${choice.reference}; there are: ${tags}`);
  if (others.length > 0) throw new ArchiveError('choose', `it holds ${named.length} images: name one of ${tags}`);
  const bytes = await blobs.read(image.Config, documentMaxBytes);
  if (bytes === null) throw new ArchiveError('open', 'its configuration is not there');
  const digest = sha256(bytes);
  // The file is named by it: `<hex>.json`, or `blobs/sha256/<hex>`.
  if (!image.Config.includes(digest.slice('sha256:'.length)))
    throw new ArchiveError('verify', 'its configuration is not what its name says');
  const config = parse(ImageConfig, bytes, 'configuration');
  checkPlatform(config, choice.platform);
  const { diff_ids: diffIds } = config.rootfs;
  if (diffIds.length !== image.Layers.length) throw new ArchiveError('verify', 'its configuration names another number of layers');
  const layers = image.Layers.map((path, layer) => ({ diffId: diffIds[layer] ?? '', path, blob: null }));
  return { digest, reference: image.RepoTags?.[0] ?? null, config, layers };
}

/** As skopeo and podman name images of a layout, and containerd. */
const nameAnnotations = ['org.opencontainers.image.ref.name', 'io.containerd.image.name'];

function isNamed({ digest, annotations }: Descriptor, reference: string): boolean {
  return digest === reference || nameAnnotations.some((name) => annotations?.[name] === reference);
}

function referenceOf({ annotations }: Descriptor): string | null {
  return nameAnnotations.map((name) => annotations?.[name]).find((name) => name !== undefined) ?? null;
}

function namesOf(descriptors: readonly Descriptor[]): string {
  return descriptors
    .map((one) => referenceOf(one) ?? one.digest)
    .join(', ')
    .slice(0, 1000);
}

function blobPath(digest: string): string {
  return `blobs/sha256/${digest.slice('sha256:'.length)}`;
}

async function verified(blobs: Blobs, { digest, size }: Descriptor): Promise<Buffer> {
  const bytes = await blobs.read(blobPath(digest), documentMaxBytes);
  if (bytes === null) throw new ArchiveError('open', `${digest} is not there`);
  if (bytes.length !== size || sha256(bytes) !== digest) throw new ArchiveError('verify', `${digest} is not what it should be`);
  return bytes;
}

/** The words of JSON.parse would show what the file holds, which may be no image at all. */
function parse<T extends z.ZodType>(model: T, bytes: Buffer, what: string): z.output<T> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new ArchiveError('read', `its ${what} is no JSON`);
  }
  const parsed = model.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new ArchiveError('read', `its ${what} is malformed: ${issue?.path.join('.') ?? ''} ${issue?.code ?? ''}`.trimEnd());
}

function checkPlatform({ os, architecture }: ImageConfig, wanted: Platform): void {
  if (!fits({ os, architecture }, { os: wanted.os, architecture: wanted.architecture })) {
    throw new ArchiveError('choose', `it is for ${platformText({ os, architecture })}, not for ${platformText(wanted)}`);
  }
}

/** What is not said fits. */
function fits(has: Platform, wanted: Platform): boolean {
  return (['os', 'architecture', 'variant'] as const).every(
    (key) => has[key] === undefined || wanted[key] === undefined || has[key] === wanted[key],
  );
}

function platformText({ os, architecture, variant }: Platform): string {
  return [os ?? 'any', architecture ?? 'any', ...(variant === undefined ? [] : [variant])].join('/');
}

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
