/** What a socket is, in words: `inet stream 127.0.0.1:80`, `unix dgram /run/x`, `netlink raw`. Pure. */
import { rawText } from '#shared/raw-text.ts';

/** socket(2), AF_*; 1, 2 and 10 have addresses worth showing. */
const families: Record<number, string> = {
  1: 'unix',
  2: 'inet',
  10: 'inet6',
  16: 'netlink',
  17: 'packet',
  29: 'can',
  30: 'tipc',
  31: 'bluetooth',
  38: 'alg',
  40: 'vsock',
  44: 'xdp',
  45: 'mctp',
};
const types: Record<number, string> = { 1: 'stream', 2: 'dgram', 3: 'raw', 4: 'rdm', 5: 'seqpacket', 10: 'packet' };

/** ADDRESS is the struct sockaddr that getsockname(2) gave, in this machine's byte order; empty where there is none. Raw text. */
export function socketText(family: number, type: number, address: Uint8Array): string {
  const words = [families[family] ?? `family ${family}`, types[type] ?? `type ${type}`, addressText(family, address)];
  return words.filter((word) => word !== '').join(' ');
}

function addressText(family: number, address: Uint8Array): string {
  const view = new DataView(address.buffer, address.byteOffset, address.byteLength);
  if (family === 1) return unixText(address.subarray(2));
  if (family === 2 && address.byteLength >= 8) return `${[...address.subarray(4, 8)].join('.')}:${view.getUint16(2)}`;
  if (family === 10 && address.byteLength >= 24) return `[${inet6Text(view)}]:${view.getUint16(2)}`;
  return '';
}

/** unix(7): a path, which a NUL may end, or an abstract name behind a NUL, shown with @ as everywhere. */
function unixText(name: Uint8Array): string {
  if (name.byteLength === 0) return '';
  if (name[0] === 0) return `@${rawText(name.subarray(1))}`;
  const end = name.indexOf(0);
  return rawText(end < 0 ? name : name.subarray(0, end));
}

/** All eight groups, then the longest run of zeros as `::` (RFC 5952). */
function inet6Text(view: DataView): string {
  const groups = Array.from({ length: 8 }, (_, group) => view.getUint16(8 + group * 2).toString(16));
  let longest = { at: 0, length: 1 };
  for (let at = 0; at < 8; at++) {
    const end = groups.findIndex((group, index) => index >= at && group !== '0');
    const length = (end < 0 ? 8 : end) - at;
    if (length > longest.length) longest = { at, length };
  }
  if (longest.length < 2) return groups.join(':');
  return `${groups.slice(0, longest.at).join(':')}::${groups.slice(longest.at + longest.length).join(':')}`;
}
