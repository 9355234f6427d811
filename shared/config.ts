/**
 * Where things lie, and settings from the environment: pure functions of it. Empty variables count as unset, and a relative path
 * in an XDG variable is ignored, as the XDG base directory specification says.
 */
import { isAbsolute, join } from 'node:path';
import type { z } from 'zod';
import { NsfleetError, issuesText } from './errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Each ends in `/nsfleet`. Secrets lie under `config`, in files of mode 0600. */
export type Directories = {
  /** keys, tokens, host id */
  config: string;
  /** the embedded Postgres cluster */
  data: string;
  /** the agent's state files, logs */
  state: string;
  /** sockets, pid files, stack.json: gone after a clean stop */
  runtime: string;
  /** what can be fetched or computed again */
  cache: string;
};

/** The XDG directories of nsfleet. `XDG_RUNTIME_DIR` is not set for root on a bare machine: then `<state>/run`. */
export function directories(env: Environment): Directories {
  const home = env['HOME'];
  const base = (name: string, fallback: string): string => {
    const value = env[name];
    if (value !== undefined && isAbsolute(value)) return join(value, 'nsfleet');
    if (home === undefined || !isAbsolute(home)) {
      throw new NsfleetError('CONFIG_INVALID', {
        attempted: 'find the directory for',
        target: name,
        reason: 'neither it nor HOME is an absolute path',
      });
    }
    return join(home, fallback, 'nsfleet');
  };
  const state = base('XDG_STATE_HOME', '.local/state');
  const runtime = env['XDG_RUNTIME_DIR'];
  return {
    config: base('XDG_CONFIG_HOME', '.config'),
    data: base('XDG_DATA_HOME', '.local/share'),
    state,
    runtime: runtime !== undefined && isAbsolute(runtime) ? join(runtime, 'nsfleet') : join(state, 'run'),
    cache: base('XDG_CACHE_HOME', '.cache'),
  };
}

/** The file that describes the running stack, see stack.ts. */
export function stackFile(dirs: Directories): string {
  return join(dirs.runtime, 'stack.json');
}

/** Settings of a program, checked by its zod model at the door; every problem is named with its variable. */
export function readSettings<T extends z.ZodType>(model: T, env: Environment, program: string): z.output<T> {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = model.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new NsfleetError('CONFIG_INVALID', {
    attempted: 'read the settings of',
    target: program,
    reason: issuesText(parsed.error.issues),
  });
}
