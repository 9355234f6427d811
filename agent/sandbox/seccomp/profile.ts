/**
 * A **profile** says of every system call what becomes of it in a sandbox: data, which compile.ts turns into a program for the kernel.
 * What it does not name is refused: EPERM where calls.ts knows the call, ENOSYS where it does not, as by a kernel that has none.
 */
export type Decision = 'allow' | 'EPERM' | 'ENOSYS';

/** Of one argument: `(argument & mask) === is`. */
export type ArgumentTest = {
  /** 0 to 5 */
  argument: number;
  /** Default: the lower half. The kernel takes an `int` from there, so a test of an int must not look at the upper one (CVE-2019-10063). */
  mask?: bigint;
  is: bigint;
};

export type Rule = {
  call: string;
  /** Holds where all tests of one of these hold. */
  when: readonly (readonly ArgumentTest[])[];
  gives: Decision;
  otherwise: Decision;
};

export type Profile = {
  name: string;
  allow: readonly string[];
  /** As if the kernel did not have them. */
  absent: readonly string[];
  rules: readonly Rule[];
  /** What a capability that the sandbox was given is good for only with these. */
  byCapability: Readonly<Record<string, readonly string[]>>;
};

/** Names with spaces between them. */
export function words(text: string): string[] {
  return text.split(' ');
}

export const lowerHalf = 0xffff_ffffn;

/** Where an argument is one of `values`. */
export function isOneOf(argument: number, values: readonly number[]): ArgumentTest[][] {
  return values.map((value) => [{ argument, is: BigInt(value) }]);
}

/** Where an argument has none of the bits of `mask`. */
export function hasNone(argument: number, mask: number): ArgumentTest[][] {
  return [[{ argument, mask: BigInt(mask), is: 0n }]];
}
