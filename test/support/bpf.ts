/** The kernel's interpreter of a filter of system calls, as far as filters use it: written after Documentation/networking/filter.rst. */

/** struct seccomp_data */
export type SystemCall = { number: number; arch: number; args: readonly bigint[] };

const size = 64;

function dataOf({ number, arch, args }: SystemCall): DataView {
  const data = new DataView(new ArrayBuffer(size));
  data.setUint32(0, number, true);
  data.setUint32(4, arch, true);
  for (let index = 0; index < 6; index++) data.setBigUint64(16 + 8 * index, BigInt.asUintN(64, args[index] ?? 0n), true);
  return data;
}

/** What a program returns for a call. Throws where the kernel would refuse the program: backward or far jumps, other instructions, no end. */
export function runFilter(program: Uint8Array, call: SystemCall): number {
  const data = dataOf(call);
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const memory = new Uint32Array(16);
  let [accumulator, index] = [0, 0];
  for (let at = 0; at * 8 < program.byteLength;) {
    const code = view.getUint16(at * 8, true);
    const [jt, jf, k] = [view.getUint8(at * 8 + 2), view.getUint8(at * 8 + 3), view.getUint32(at * 8 + 4, true)];
    at += 1;
    switch (code) {
      case 0x20: // ld [k]
        accumulator = data.getUint32(k, true);
        break;
      case 0x54: // and #k
        accumulator = (accumulator & k) >>> 0;
        break;
      case 0x02: // st M[k]
        memory[k] = accumulator;
        break;
      case 0x60: // ld M[k]
        accumulator = memory[k] ?? 0;
        break;
      case 0x07: // tax
        index = accumulator;
        break;
      case 0x87: // txa
        accumulator = index;
        break;
      case 0x05: // ja
        at += k;
        break;
      case 0x15: // jeq #k
        at += accumulator === k ? jt : jf;
        break;
      case 0x25: // jgt #k
        at += accumulator > k ? jt : jf;
        break;
      case 0x35: // jge #k
        at += accumulator >= k ? jt : jf;
        break;
      case 0x45: // jset #k
        at += (accumulator & k) === 0 ? jf : jt;
        break;
      case 0x06: // ret #k
        return k;
      default:
        throw new Error(`instruction ${at - 1}: 0x${code.toString(16)} is none that a filter may have`);
    }
  }
  throw new Error('the program runs off its end');
}
