/** `nsfleet-agent images`: what was unpacked on this host, and its removal. Works beside a running agent. */
import { parseArgs } from 'node:util';
import { NsfleetError, errorText } from '#shared/errors.ts';
import { collect, removeImage, usedLayers } from './collect.ts';
import { imagePaths, readImages, readLayers, readUses } from './layout.ts';
import type { ImagePaths } from './layout.ts';

const unitsMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** What it prints. USAGE, NOT_FOUND, ILLEGAL_TRANSITION where an image is in use. */
export async function imagesCommand(args: readonly string[], stateDirectory: string): Promise<string> {
  const paths = imagePaths(stateDirectory);
  const [verb = 'ls', ...rest] = args;
  if (verb === 'ls') return list(paths, rest);
  if (verb === 'rm') return remove(paths, rest);
  if (verb === 'gc') return collectGarbage(paths, rest);
  throw usage(`images takes ls, rm or gc, not ${verb}`);
}

async function list(paths: ImagePaths, args: readonly string[]): Promise<string> {
  const { json } = parse(() => parseArgs({ args: [...args], options: { json: { type: 'boolean' } } })).values;
  const [images, layers, uses] = await Promise.all([readImages(paths), readLayers(paths), readUses(paths)]);
  const bytesOf = new Map(layers.map(({ diffId, bytes }) => [diffId, bytes]));
  const ofImages = new Set(images.flatMap((image) => image.layers));
  const rows = [
    ...images.map(({ digest, reference, source, layers, usedAt }) => ({ digest, reference, source, layers, usedAt })),
    ...layers
      .filter(({ diffId }) => !ofImages.has(diffId))
      .map(({ diffId, unpackedAt }) => ({ digest: diffId, reference: null, source: null, layers: [diffId], usedAt: unpackedAt })),
  ].map((row) => ({
    ...row,
    bytes: row.layers.reduce((sum, diffId) => sum + (bytesOf.get(diffId) ?? 0), 0),
    sandboxes: uses.filter(({ digest }) => digest === row.digest).length,
  }));
  if (json === true) return `${JSON.stringify(rows, null, 2)}\n`;
  const cells = rows.map((row) => [
    row.digest.slice('sha256:'.length, 'sha256:'.length + 12),
    row.reference ?? (row.source === null ? '(archive)' : '-'),
    String(row.layers.length),
    `${(row.bytes / 1024 ** 2).toFixed(1)} MiB`,
    String(row.sandboxes),
    row.usedAt,
  ]);
  return table([['DIGEST', 'NAME', 'LAYERS', 'SIZE', 'SANDBOXES', 'USED'], ...cells]);
}

function table(rows: readonly string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

async function remove(paths: ImagePaths, names: readonly string[]): Promise<string> {
  if (names.length === 0) throw usage('images rm takes digests, or beginnings of them, or names');
  const lines: string[] = [];
  for (const name of names) {
    const hex = name.replace(/^sha256:/u, '');
    const found = (await readImages(paths)).filter(({ digest, reference }) => reference === name || digest.startsWith(`sha256:${hex}`));
    const [image, ...others] = found;
    const fields = { attempted: 'remove image', target: name };
    if (image === undefined)
      throw new NsfleetError('NOT_FOUND', { ...fields, reason: 'there is none such', remedy: '`nsfleet-agent images ls` lists them' });
    if (others.length > 0)
      throw new NsfleetError('USAGE', { ...fields, reason: `it may be one of ${found.length}`, remedy: 'give more of its digest' });
    const result = await removeImage(paths, image.digest);
    if (result?.inUse === true) {
      throw new NsfleetError('ILLEGAL_TRANSITION', {
        ...fields,
        reason: 'a sandbox of this host uses it',
        remedy: 'remove the sandbox first',
      });
    }
    lines.push(`${image.digest}: removed with ${result?.removed.length ?? 0} layers\n`);
  }
  return lines.join('');
}

async function collectGarbage(paths: ImagePaths, args: readonly string[]): Promise<string> {
  const { values } = parse(() => parseArgs({ args: [...args], options: { 'unused-for': { type: 'string', default: '0s' } } }));
  const match = /^([0-9]{1,6})([smhd])$/.exec(values['unused-for']);
  if (match === null) throw usage('--unused-for takes a duration: 30m, 24h, 7d');
  const removed = await collect(paths, { unusedMs: Number(match[1]) * (unitsMs[match[2] ?? ''] ?? 0) });
  const bytes = removed.reduce((sum, layer) => sum + layer.bytes, 0);
  const kept = (await usedLayers(paths)).size;
  return `removed ${removed.length} layers, ${(bytes / 1024 ** 2).toFixed(1)} MiB; ${kept} are in use\n`;
}

function parse<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw usage(errorText(error));
  }
}

function usage(reason: string): NsfleetError {
  return new NsfleetError('USAGE', { attempted: 'run', target: 'nsfleet-agent images', reason, remedy: 'see `nsfleet-agent --help`' });
}
