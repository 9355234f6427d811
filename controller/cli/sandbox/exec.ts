/** `nsfleet sandbox exec`. */
import { routePath } from '#shared/api.ts';
import { sockets } from '#shared/sockets.ts';
import type { ExecRequest } from '#shared/messages.ts';
import { usage } from '../failure.ts';
import type { Session } from '../session.ts';
import { runStream } from './run-stream.ts';
import { environmentOptions, userOption } from './values.ts';

export type ExecOptions = { env?: string[]; cwd?: string; user?: string; groupAdd?: string[]; stdin?: boolean; tty?: boolean };

/** Runs a command in a sandbox; returns the command's exit code. `args` is the sandbox and the command, perhaps with `--` between. */
export async function execInSandbox(session: Session, args: readonly string[], options: ExecOptions): Promise<number> {
  const { sandbox, request } = execRequest(args, options, session.env);
  return runStream(session, routePath(sockets.sandboxExec.path, { sandbox }), request, { stdin: options.stdin !== false, target: sandbox });
}

/** What was typed as the stream's first message. Throws USAGE. */
export function execRequest(
  args: readonly string[],
  options: ExecOptions,
  env: Session['env'],
): { sandbox: string; request: Pick<ExecRequest, 'command'> & Partial<ExecRequest> } {
  const [sandbox = '', ...rest] = args;
  const path = 'nsfleet sandbox exec';
  if (options.tty === true) throw usage(path, 'no terminal yet: run it without -t');
  const command = rest[0] === '--' ? rest.slice(1) : rest;
  if (command.length === 0) throw usage(path, 'no command after the sandbox');
  if (rest[0] !== '--' && command[0]?.startsWith('-') === true) {
    throw usage(path, `${command[0]} stands after the sandbox: options stand before it, and a command that begins with - after --`);
  }
  if (options.user === undefined && options.groupAdd !== undefined) throw usage(path, '--group-add without --user');
  const user = userOption('--user', options.user, options.groupAdd ?? []);
  const request = {
    command,
    ...(options.env === undefined ? {} : { env: environmentOptions('--env', options.env, env) }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(user === undefined ? {} : { user }),
  };
  return { sandbox, request };
}
