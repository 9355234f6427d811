/** What a shim could not do, as an error of the catalogue. Pure. */
import { NsfleetError } from '#shared/errors.ts';
import type { ErrorCode } from '#shared/errors.ts';
import { rlimitNames } from '#shared/process.ts';
import { errnoName } from '#native/native-error.ts';
import type { ShimFailure } from './shim-link.ts';

/** Steps that find, check or mount the root of the user's own directory. */
const rootSteps = new Set(['tree', 'lower', 'overlay']);
/** What is made inside a root of the user's own has no place there: a dangling symlink, a directory in place of a file. */
const placeSteps = new Set(['mkdir', 'file', 'tmpfs', 'attach']);
const placeErrors = new Set(['ENOENT', 'EISDIR']);
/** A path inside the root is not what it must be, or leads out of it. */
const rootErrors = new Set(['ELOOP', 'ENOTDIR', 'EXDEV']);
const namespaceErrors = new Set(['EPERM', 'EACCES', 'ENOSPC', 'EUSERS', 'EINVAL', 'ENOSYS']);

const commandOfDirectory =
  'check the command and PATH inside the root directory, and that the interpreter or loader which the command names is there too';

/**
 * `fallback` is SANDBOX_CREATE_FAILED or EXEC_FAILED; `rootIsDirectory`: the spec names a root of its own; `volumePaths`: what its volumes name,
 * inside and outside.
 */
export function failureError(
  failure: ShimFailure,
  context: {
    attempted: string;
    target: string;
    fallback: 'SANDBOX_CREATE_FAILED' | 'EXEC_FAILED';
    rootIsDirectory: boolean;
    volumePaths?: ReadonlySet<string>;
  },
): NsfleetError {
  const errname = errnoName(failure.errnum);
  const subject = failure.step === 'rlimit' ? (rlimitNames[Number(failure.detail)] ?? '') : failure.detail;
  const detail = subject === '' || subject === '-' ? '' : ` ${subject}`;
  const code = codeOf(failure, errname, context);
  return new NsfleetError(code, {
    attempted: context.attempted,
    target: context.target,
    reason: `${failure.step}${detail}: ${errname} (${failure.errnum})${failure.op < 0 ? '' : `, operation ${failure.op} of the plan`}`,
    // The catalogue's advice speaks of the host root.
    ...(code === 'COMMAND_NOT_FOUND' && context.rootIsDirectory ? { remedy: commandOfDirectory } : {}),
  });
}

function codeOf(
  { step, op, detail }: ShimFailure,
  errname: string,
  { fallback, rootIsDirectory, volumePaths }: { fallback: ErrorCode; rootIsDirectory: boolean; volumePaths?: ReadonlySet<string> },
): ErrorCode {
  if (step === 'exec') {
    if (errname === 'ENOENT' || errname === 'ENOTDIR') return 'COMMAND_NOT_FOUND';
    if (errname === 'E2BIG') return 'COMMAND_TOO_LONG';
    if (errname === 'EACCES' || errname === 'ENOEXEC' || errname === 'EISDIR') return 'COMMAND_NOT_EXECUTABLE';
    return fallback;
  }
  if (step === 'cwd') return 'CWD_REFUSED';
  if (step === 'user' || step === 'group') return 'USER_REFUSED';
  if (step === 'id_range') return 'ID_RANGE_REFUSED';
  if (step === 'kernel') return 'KERNEL_TOO_OLD';
  if (step === 'landlock') return 'LANDLOCK_UNAVAILABLE';
  if (step === 'landlock_path') return 'LANDLOCK_REFUSED';
  if (step === 'namespace') return 'NAMESPACE_NOT_FOUND';
  if (step === 'clone3' && namespaceErrors.has(errname)) return 'NAMESPACES_UNAVAILABLE';
  if ((step === 'uid_map' || step === 'gid_map' || step === 'setgroups') && errname === 'EPERM') return 'NAMESPACES_UNAVAILABLE';
  if (op >= 0 && volumePaths?.has(detail) === true) return 'VOLUME_REFUSED';
  if (rootIsDirectory && op >= 0 && placeSteps.has(step) && placeErrors.has(errname)) return 'ROOT_REFUSED';
  if (rootIsDirectory && (rootSteps.has(step) || (op >= 0 && rootErrors.has(errname)))) return 'ROOT_REFUSED';
  return fallback;
}
