/** The first file system of a guest: an archive as cpio writes it in its `newc` format (cpio(5)), which the kernel unpacks. Pure. */

export type Entry = { path: string; mode: number; data?: Uint8Array; /** major and minor number of a device */ device?: [number, number] };

export const directoryMode = 0o040755;
export const programMode = 0o100755;
export const fileMode = 0o100644;
export const characterDeviceMode = 0o020600;

/** Directories must come before what is in them. */
export function cpio(entries: readonly Entry[]): Buffer {
  return Buffer.concat([...entries.map((entry, index) => member(entry, index + 1)), member({ path: 'TRAILER!!!', mode: 0 }, 0)]);
}

function member({ path, mode, data = new Uint8Array(0), device: [major, minor] = [0, 0] }: Entry, inode: number): Buffer {
  const name = Buffer.from(`${path}\0`);
  const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, major, minor, name.length, 0];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
  return Buffer.concat([padded(Buffer.concat([header, name])), padded(Buffer.from(data))]);
}

function padded(part: Buffer): Buffer {
  return Buffer.concat([part, Buffer.alloc((4 - (part.length % 4)) % 4)]);
}
