/** What `npm start` shows when all is ready: the sandbox beside the host, where the API and its token are, and what to try next. */
import type { Sandbox } from '#shared/resources.ts';
import { besideHost, hostNamespaces } from './demo.ts';
import type { Say } from './progress.ts';
import type { UpSettings } from './settings.ts';
import type { RunningStack } from './stack.ts';

export async function showStack(
  stack: RunningStack,
  settings: UpSettings,
  demo: { sandbox: Sandbox; adopted: boolean },
  say: Say,
  signal: AbortSignal,
): Promise<void> {
  const { sandbox, adopted } = demo;
  const namespaces = await hostNamespaces(stack.client, stack.hostId, signal);
  say(
    `sandbox: ${sandbox.name} ${adopted ? 'lived on from an earlier start' : 'runs'}, its init is process ${sandbox.initPid ?? '?'} of this host`,
  );
  const lines = [
    '',
    ...besideHost(namespaces, sandbox),
    '',
    `API         ${stack.api}`,
    `token       in ${settings.files.token}`,
    `logs        in ${settings.files.logs}`,
    '',
    'to try next, in another terminal of this checkout:',
    '  npx nsfleet ns ls --type net',
    '  npx nsfleet sandbox run --rm -- sh -c "hostname; id; ip -brief link"',
    `  npx nsfleet sandbox exec ${sandbox.name} -- ps -e`,
    '',
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
