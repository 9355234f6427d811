/** The directories of the stack, made before anything else: what is wrong with one is told with the variable that named it. */
import { accessSync, constants } from 'node:fs';
import { isAbsolute } from 'node:path';
import { makeDirectory } from '#controller/make-directory.mjs';
import type { Directories, Environment } from '#shared/config.ts';
import { NsfleetError } from '#shared/errors.ts';

/** Which variable decides, the first that holds an absolute path: see directories() of shared/config.ts. */
const variables: Readonly<Record<keyof Directories, readonly string[]>> = {
  config: ['XDG_CONFIG_HOME'],
  data: ['XDG_DATA_HOME'],
  state: ['XDG_STATE_HOME'],
  runtime: ['XDG_RUNTIME_DIR', 'XDG_STATE_HOME'],
  cache: ['XDG_CACHE_HOME'],
};

const words: Readonly<Record<string, string>> = {
  ENOTDIR: 'a part of the path is no directory',
  EEXIST: 'it is no directory',
  ENOENT: 'no directory can be made there',
  EACCES: 'this user may not write there',
  EPERM: 'it is not permitted there',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the file system is full',
  EDQUOT: 'the quota is used up',
  ELOOP: 'symlinks lead in a circle',
  ENAMETOOLONG: 'the path is too long',
};

/** Makes each where it is missing, mode 0700. CONFIG_INVALID for the first that cannot be made or written to. */
export function ensureDirectories(dirs: Directories, env: Environment): void {
  for (const kind of Object.keys(variables) as (keyof Directories)[]) {
    const path = dirs[kind];
    try {
      makeDirectory(path);
      accessSync(path, constants.W_OK | constants.X_OK);
    } catch (cause) {
      const { code = '', message } = cause as NodeJS.ErrnoException;
      const variable = variables[kind].find((name) => isAbsolute(env[name] ?? '')) ?? 'HOME';
      throw new NsfleetError('CONFIG_INVALID', {
        attempted: `use the directory ${path} of`,
        target: variable,
        reason: `${variable}=${env[variable]}: ${words[code] ?? message} (${code})`,
        remedy: `set ${variable} to a directory that this user can write to`,
        cause,
      });
    }
  }
}
