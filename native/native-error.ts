import { constants } from 'node:os';
import { NsfleetError } from '#shared/errors.ts';
import type { ErrorCode } from '#shared/errors.ts';
import { nsfError } from './layout.ts';

/** Steps whose failure the catalogue knows by a code of its own. */
const codeOfStep: Record<string, ErrorCode> = {
  open_proc: 'PROC_UNAVAILABLE',
  check_proc: 'PROC_UNAVAILABLE',
  left_children: 'MOUNT_UNRESPONSIVE',
};

/**
 * A call of the native library that failed. `errname` is what callers match on: ESRCH (the process has ended), ESTALE
 * (the pid is another process now), ENOSYS at `clone3` (the kernel, or a seccomp filter of a container, has it not)…
 */
export class NativeError extends NsfleetError {
  /** Positive, errno(3). */
  readonly errnum: number;
  /** `EACCES` */
  readonly errname: string;
  /** Which call inside failed: `clone3`, `execveat`, `open_proc`… */
  readonly step: string;
  /** On what; may be empty. */
  readonly detail: string;

  constructor(failure: { errnum: number; step: string; detail: string }, attempted: string, target: string) {
    const { errnum, step, detail } = failure;
    const errname = errnoName(errnum);
    super(codeOf(errname, step), {
      attempted,
      target,
      reason: `${step}${detail === '' ? '' : ` ${detail}`}: ${errname} (${errnum})`,
      ...(step === 'clone3' && errname === 'ENOSYS'
        ? { remedy: 'run Linux 5.12 or newer, without a seccomp filter that hides clone3' }
        : {}),
    });
    this.errnum = errnum;
    this.errname = errname;
    this.step = step;
    this.detail = detail;
  }
}

function codeOf(errname: string, step: string): ErrorCode {
  if (errname === 'ENOSYS') return 'KERNEL_TOO_OLD';
  // A child that was sent to a path does not come back.
  if (errname === 'ETIMEDOUT') return 'MOUNT_UNRESPONSIVE';
  return codeOfStep[step] ?? 'INTERNAL';
}

/** `errnoName(13)` is `EACCES`; a number that this system has no name for is `E<number>`. */
export function errnoName(errnum: number): string {
  const entry = Object.entries(constants.errno).find(([, value]) => value === errnum);
  return entry?.[0] ?? `E${errnum}`;
}

/** Room for the struct nsf_error that every call takes. */
export function errorBuffer(): Uint8Array {
  return new Uint8Array(nsfError.whole);
}

/** Throws what ERROR tells if RESULT, a call's return value, is negative. */
export function check(result: number, error: Uint8Array, attempted: string, target: string): void {
  if (result >= 0) return;
  const view = Buffer.from(error.buffer, error.byteOffset, error.byteLength);
  const failure = { errnum: -result, step: text(view, nsfError.step), detail: text(view, nsfError.detail) };
  throw new NativeError(failure, attempted, target);
}

function text(view: Buffer, [offset, bytes]: readonly [number, number]): string {
  const end = view.indexOf(0, offset);
  return view.toString('utf8', offset, end < 0 ? offset + bytes : Math.min(end, offset + bytes));
}
