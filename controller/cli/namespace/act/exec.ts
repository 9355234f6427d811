/** `nsfleet ns exec`: a program of the host in chosen namespaces. */
import { routePath } from '#shared/api.ts';
import { sockets } from '#shared/sockets.ts';
import type { HostExecRequest } from '#shared/sockets.ts';
import { NamespaceType } from '#shared/namespace.ts';
import { usage } from '../../failure.ts';
import { runStream } from '../../sandbox/run-stream.ts';
import { environmentOptions } from '../../sandbox/values.ts';
import type { Session } from '../../session.ts';

export type NamespaceExecOptions = { host: string; ns?: string[]; env?: string[]; cwd?: string; stdin?: boolean };

const path = 'nsfleet ns exec';

/** Runs `command` on the host; returns its exit code. */
export async function execInNamespaces(session: Session, command: readonly string[], options: NamespaceExecOptions): Promise<number> {
  if (command.length === 0) throw usage(path, 'a command is missing');
  const request = {
    command: [...command],
    targets: readTargets(options.ns ?? []),
    ...(options.env === undefined ? {} : { env: environmentOptions('--env', options.env, session.env) }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  };
  const route = routePath(sockets.hostExec.path, { host: options.host });
  return runStream(session, route, request, { stdin: options.stdin !== false, target: options.host });
}

/** `net=4711`, `mnt=host`, `net,uts=pid:1234`, `all=sandbox:web`. Throws USAGE. */
export function readTargets(texts: readonly string[]): HostExecRequest['targets'] {
  const targets = new Map<NamespaceType, string>();
  for (const text of texts) {
    const at = text.indexOf('=');
    const of = text.slice(at + 1);
    if (at < 1 || of === '')
      throw usage(path, `--ns ${text}: write type=namespace, as net=4711, net=pid:1234, mnt=host or all=sandbox:web`);
    for (const type of typesOf(text.slice(0, at))) {
      if (targets.has(type)) throw usage(path, `--ns ${text}: ${type} is given twice`);
      targets.set(type, of);
    }
  }
  return [...targets].map(([type, of]) => ({ type, of }));
}

function typesOf(text: string): readonly NamespaceType[] {
  if (text === 'all') return NamespaceType.options;
  return text.split(',').map((word) => {
    const parsed = NamespaceType.safeParse(word);
    if (parsed.success) return parsed.data;
    throw usage(path, `--ns ${text}: ${word} is no type; choose from ${NamespaceType.options.join(', ')}, all`);
  });
}
