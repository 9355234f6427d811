/** Tar archives by hand, also such as no tar would write. */
import { gzipSync } from 'node:zlib';

export type TarFields = {
  path: string;
  /** default '0', a file */
  type?: string;
  content?: Buffer | string;
  mode?: number;
  uid?: number;
  gid?: number;
  mtime?: number;
  link?: string;
  /** what the header says, whatever follows */
  size?: number;
  /** records of an extended header before it */
  pax?: readonly (readonly [string, string])[];
  /** changes the finished header */
  tamper?: (header: Buffer) => void;
};

/** The entries, and two blocks of zeros. */
export function tarOf(entries: readonly TarFields[]): Buffer {
  return Buffer.concat([...entries.map(tarEntry), Buffer.alloc(1024)]);
}

export function tarEntry({ path, type = '0', content = '', pax, ...rest }: TarFields): Buffer {
  const body = Buffer.from(content);
  const header = headerOf({ path, type, size: body.length, ...rest });
  const extended = pax === undefined ? [] : [tarEntry({ path: 'pax', type: 'x', content: paxOf(pax) })];
  return Buffer.concat([...extended, header, padded(body)]);
}

export function paxOf(records: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(
    records.map(([key, value]) => {
      const rest = Buffer.from(` ${key}=${value}\n`, 'latin1');
      let length = rest.length + 1;
      while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
      return Buffer.concat([Buffer.from(String(length)), rest]);
    }),
  );
}

function headerOf({ path, type, mode = 0o644, uid = 0, gid = 0, mtime = 1_700_000_000, link = '', size = 0, tamper }: TarFields): Buffer {
  const header = Buffer.alloc(512);
  const octal = (value: number, at: number, length: number) => header.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1');
  header.write(path.slice(0, 100), 0, 'latin1');
  octal(mode, 100, 8);
  octal(uid, 108, 8);
  octal(gid, 116, 8);
  octal(size, 124, 12);
  octal(mtime, 136, 12);
  header.write(type ?? '0', 156, 'latin1');
  header.write(link.slice(0, 100), 157, 'latin1');
  header.write('ustar\u000000', 257, 'latin1');
  header.fill(0x20, 148, 156);
  tamper?.(header);
  if (header.subarray(148, 156).every((byte) => byte === 0x20))
    octal(
      header.reduce((sum, byte) => sum + byte, 0),
      148,
      8,
    );
  return header;
}

function padded(body: Buffer): Buffer {
  return Buffer.concat([body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
}

export function gzipped(archive: Buffer): Buffer {
  return gzipSync(archive);
}
