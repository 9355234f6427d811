/**
 * The filter of the profile `log`: nothing is refused, every call is told to the shim, which writes down which ones there were (native/shim/calls.c).
 * By SECCOMP_RET_USER_NOTIF: SECCOMP_RET_LOG tells the host's audit log, which a plain user cannot read and which drops what comes too fast, and a
 * tracer (SECCOMP_RET_TRACE) would keep debuggers out. Pure.
 */
import { calls } from './calls.ts';
import type { Architecture } from './calls.ts';
import { abiCheck, instruction, jumpEqual, loadWord, offsetArguments, offsetNumber, back, returns } from './compile.ts';
import type { Instruction } from './compile.ts';

const userNotification = 0x7fc0_0000;
/** CHANNEL_MARK of native/shim/channel.h: in the half of sendmsg(2)'s flags that the kernel does not read. */
const channelMark = 0x6e_7366;
const flagsArgument = 2;

export function compileLog(architecture: Architecture): Instruction[] {
  const number = (name: string): number => calls[architecture].get(name) ?? -1;
  return [
    ...abiCheck(architecture),
    // As by a profile, so that what is told is what would be called under one: clone(2), whose arguments can be seen.
    instruction(jumpEqual, number('clone3'), 0, 1),
    instruction(back, returns.ENOSYS),
    instruction(jumpEqual, number('sendmsg'), 0, 3),
    instruction(loadWord, offsetArguments + 8 * flagsArgument + 4),
    instruction(jumpEqual, channelMark, 0, 1),
    instruction(back, returns.allow),
    instruction(loadWord, offsetNumber),
    instruction(back, userNotification),
  ];
}
