/** What of an OCI image is read: its specification’s and docker’s documents, as far as they matter here. */
import { z } from 'zod';

/** Others (sha512) are allowed by the specification, and nobody makes them. */
export const Digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'a sha256 digest');
export type Digest = z.infer<typeof Digest>;

export const Platform = z.object({ os: z.string().optional(), architecture: z.string().optional(), variant: z.string().optional() });
export type Platform = z.infer<typeof Platform>;

export const Descriptor = z.object({
  mediaType: z.string().default(''),
  digest: Digest,
  size: z.int().min(0),
  platform: Platform.optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});
export type Descriptor = z.infer<typeof Descriptor>;

export const ImageIndex = z.object({ schemaVersion: z.literal(2), manifests: z.array(Descriptor).max(1000) });

/** docker's images have at most 127 layers. */
export const layersMax = 127;
export const Manifest = z.object({ schemaVersion: z.literal(2), config: Descriptor, layers: z.array(Descriptor).max(layersMax) });

const texts = z.array(z.string().max(131_072)).max(4096).nullish();
export const ImageConfig = z.object({
  os: z.string().optional(),
  architecture: z.string().optional(),
  config: z
    .object({ Env: texts, Cmd: texts, Entrypoint: texts, User: z.string().max(256).nullish(), WorkingDir: z.string().max(4095).nullish() })
    .nullish(),
  rootfs: z.object({ type: z.literal('layers'), diff_ids: z.array(Digest).max(layersMax) }),
});
export type ImageConfig = z.infer<typeof ImageConfig>;

/** `manifest.json` of `docker save` before version 25, which knows no digests but those of the configuration. */
export const DockerManifest = z
  .array(
    z.object({
      Config: z.string().max(4095),
      RepoTags: z.array(z.string()).nullish(),
      Layers: z.array(z.string().max(4095)).max(layersMax),
    }),
  )
  .max(1000);

const indexTypes = ['application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json'];

export function isIndex({ mediaType }: Pick<Descriptor, 'mediaType'>): boolean {
  return indexTypes.includes(mediaType);
}
