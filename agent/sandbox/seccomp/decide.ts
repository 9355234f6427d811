/** What a profile says of one call, read from its text: compile.ts makes the same of it for the kernel. Pure. */
import { lowerHalf } from './profile.ts';
import type { ArgumentTest, Decision, Profile } from './profile.ts';

/** `name` null: a number that no call has. Capabilities that open more are not looked at. */
export function decide(profile: Profile, name: string | null, args: readonly bigint[]): Decision {
  if (name === null) return 'ENOSYS';
  const rule = profile.rules.find(({ call }) => call === name);
  const holds = ({ argument, mask = lowerHalf, is }: ArgumentTest): boolean => ((args[argument] ?? 0n) & mask) === is;
  if (rule !== undefined) return rule.when.some((tests) => tests.every(holds)) ? rule.gives : rule.otherwise;
  if (profile.absent.includes(name)) return 'ENOSYS';
  return profile.allow.includes(name) ? 'allow' : 'EPERM';
}
