/** What is to be made, one record each, in the form that the shim reads (native/shim/unpack.h). Pure. Text is latin1. */

/** enum unpack_type */
const typeNumbers = {
  directory: 1,
  file: 2,
  data: 3,
  close: 4,
  symlink: 5,
  hardlink: 6,
  fifo: 7,
  whiteout: 8,
  opaque: 9,
  xattr: 10,
  times: 11,
  end: 12,
} as const;

const headerBytes = 40;
/** UNPACK_MORE */
const moreFlag = 1;
/** UNPACK_PATH_MAX */
export const pathMaxBytes = 4095;

export type TreeRecord = {
  type: keyof typeof typeNumbers;
  path?: string;
  payload?: Uint8Array | string;
  /** of a file: data and a `close` follow */
  more?: boolean;
  mode?: number;
  uid?: number;
  gid?: number;
  mtime?: { seconds: number; nanoseconds: number };
  size?: number;
};

export function encodeRecord({
  type,
  path = '',
  payload = '',
  more = false,
  mode = 0,
  uid = 0,
  gid = 0,
  mtime,
  size = 0,
}: TreeRecord): Buffer {
  const head = Buffer.alloc(headerBytes + path.length);
  head[0] = typeNumbers[type];
  head[1] = more ? moreFlag : 0;
  head.writeUInt16LE(path.length, 2);
  head.writeUInt32LE(payload.length, 4);
  head.writeUInt32LE(mode, 8);
  head.writeUInt32LE(uid, 12);
  head.writeUInt32LE(gid, 16);
  head.writeUInt32LE(mtime?.nanoseconds ?? 0, 20);
  head.writeBigInt64LE(BigInt(mtime?.seconds ?? 0), 24);
  head.writeBigUInt64LE(BigInt(size), 32);
  head.write(path, headerBytes, 'latin1');
  if (payload.length === 0) return head;
  return Buffer.concat([head, typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload]);
}
