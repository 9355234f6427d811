/** From a profile to a program of classic BPF, as seccomp(2) takes it. Pure. */
import { calls } from './calls.ts';
import type { Architecture } from './calls.ts';
import { lowerHalf } from './profile.ts';
import type { ArgumentTest, Decision, Profile, Rule } from './profile.ts';

/** struct sock_filter */
export type Instruction = { code: number; jt: number; jf: number; k: number };

/** linux/bpf_common.h */
export const [loadWord, jumpEqual, back] = [0x20, 0x15, 0x06];
const [jump, jumpAtLeast, and] = [0x05, 0x35, 0x54];
/** struct seccomp_data */
export const [offsetNumber, offsetArguments] = [0, 16];
const offsetArchitecture = 4;
const killProcess = 0x8000_0000;
const [EPERM, ENOSYS] = [1, 38];
export const returns: Record<Decision, number> = { allow: 0x7fff_0000, EPERM: 0x0005_0000 | EPERM, ENOSYS: 0x0005_0000 | ENOSYS };
/** linux/audit.h */
const auditNumbers: Record<Architecture, number> = { x86_64: 0xc000_003e, aarch64: 0xc000_00b7 };
/** x86_64: this bit in a call's number means the x32 ABI, of which a call's arguments mean something else. */
const x32Bit = 0x4000_0000;
/** BPF_MAXINSNS */
const instructionsMax = 4096;
/** jt and jf are bytes. */
const jumpMax = 255;

export const instruction = (code: number, k: number, jt = 0, jf = 0): Instruction => ({ code, jt, jf, k: k >>> 0 });
const answer = (decision: Decision): Instruction[] => [instruction(back, returns[decision])];

/** Ends who calls by the numbers of another ABI, which mean other calls; else goes on with the number loaded. */
export function abiCheck(architecture: Architecture): Instruction[] {
  const refused = answer('ENOSYS');
  return [
    instruction(loadWord, offsetArchitecture),
    instruction(jumpEqual, auditNumbers[architecture], 1, 0),
    instruction(back, killProcess),
    instruction(loadWord, offsetNumber),
    ...(architecture === 'x86_64' ? [instruction(jumpAtLeast, x32Bit, 0, refused.length), ...refused] : []),
  ];
}

/** `capabilities`: those that the sandbox is given. */
export function compileProfile(profile: Profile, architecture: Architecture, capabilities: ReadonlySet<string> = new Set()): Instruction[] {
  const numbers = calls[architecture];
  const program = [...abiCheck(architecture), ...search(ranges(blocksOf(profile, numbers, capabilities)))];
  if (program.length > instructionsMax)
    throw new Error(`profile ${profile.name} has ${program.length} instructions, more than ${instructionsMax}`);
  return program;
}

/** Instructions by the number of the call, from 0 on; undefined: no call. */
function blocksOf(
  profile: Profile,
  numbers: ReadonlyMap<string, number>,
  capabilities: ReadonlySet<string>,
): (Instruction[] | undefined)[] {
  const blocks: (Instruction[] | undefined)[] = [];
  const set = (call: string, block: Instruction[]): void => {
    const number = numbers.get(call);
    // A call that the other architecture has.
    if (number !== undefined) blocks[number] = block;
    else if (!isKnown(call)) throw new Error(`profile ${profile.name} names ${call}, which is no system call`);
  };
  for (const call of numbers.keys()) set(call, answer('EPERM'));
  for (const call of profile.allow) set(call, answer('allow'));
  for (const call of profile.absent) set(call, answer('ENOSYS'));
  for (const rule of profile.rules) set(rule.call, ruleBlock(rule));
  for (const [capability, granted] of Object.entries(profile.byCapability))
    if (capabilities.has(capability)) for (const call of granted) set(call, answer('allow'));
  return blocks;
}

function isKnown(call: string): boolean {
  return Object.values(calls).some((numbers) => numbers.has(call));
}

type Range = { from: number; block: Instruction[] };

/** Runs of numbers with the same instructions, ascending from 0; the last has no end. */
function ranges(blocks: (Instruction[] | undefined)[]): Range[] {
  const found: Range[] = [];
  for (let number = 0; number <= blocks.length; number++) {
    const block = blocks[number] ?? answer('ENOSYS');
    const last = found.at(-1);
    if (last === undefined || !isSame(last.block, block)) found.push({ from: number, block });
  }
  return found;
}

function isSame(one: Instruction[], two: Instruction[]): boolean {
  return (
    one.length === two.length &&
    one.every((at, index) => (Object.keys(at) as (keyof Instruction)[]).every((key) => at[key] === two[index]?.[key]))
  );
}

/** A binary search; the call's number is loaded. */
function search(found: readonly Range[]): Instruction[] {
  const [only] = found;
  if (only === undefined) return answer('ENOSYS');
  if (found.length === 1) return only.block;
  const half = Math.ceil(found.length / 2);
  const below = search(found.slice(0, half));
  const above = search(found.slice(half));
  const from = found[half]?.from ?? 0;
  return below.length <= jumpMax
    ? [instruction(jumpAtLeast, from, below.length, 0), ...below, ...above]
    : [instruction(jumpAtLeast, from, 0, 1), instruction(jump, below.length), ...below, ...above];
}

function ruleBlock({ when, gives, otherwise }: Rule): Instruction[] {
  return [...when.flatMap((tests) => conjunction(tests, answer(gives))), ...answer(otherwise)];
}

/** Falls into `block` where all hold, else passes over it. */
function conjunction(tests: readonly ArgumentTest[], block: Instruction[]): Instruction[] {
  return tests.toReversed().reduce((rest, test) => [...oneTest(test, rest.length), ...rest], block);
}

/** Falls through where it holds; else goes on `over` instructions later. */
function oneTest({ argument, mask = lowerHalf, is }: ArgumentTest, over: number): Instruction[] {
  if ((is & ~mask) !== 0n) throw new Error(`a test of argument ${argument} never holds: ${is} has bits outside of ${mask}`);
  const halves = [
    { offset: offsetArguments + 8 * argument, mask: Number(mask & lowerHalf), is: Number(is & lowerHalf) },
    { offset: offsetArguments + 8 * argument + 4, mask: Number(mask >> 32n), is: Number(is >> 32n) },
  ].filter((half) => half.mask !== 0);
  // The later half stands nearer to what is passed over.
  return halves.toReversed().reduce<Instruction[]>((rest, half) => {
    const distance = over + rest.length;
    if (distance > jumpMax) throw new Error(`a test of argument ${argument} would jump ${distance} instructions`);
    const masking = half.mask === 0xffff_ffff ? [] : [instruction(and, half.mask)];
    return [instruction(loadWord, half.offset), ...masking, instruction(jumpEqual, half.is, 0, distance), ...rest];
  }, []);
}

/** As in memory: little-endian, as both architectures are. */
export function encodeProgram(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, { code, jt, jf, k }] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(jt, index * 8 + 2);
    bytes.writeUInt8(jf, index * 8 + 3);
    bytes.writeUInt32LE(k, index * 8 + 4);
  }
  return bytes;
}
