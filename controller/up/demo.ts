/** The one sandbox that `npm start` makes, and the table that shows it beside the host. */
import { tableLines } from '#controller/cli/output/table.ts';
import type { Client } from '#shared/client.ts';
import { NsfleetError } from '#shared/errors.ts';
import { namespaceTypes } from '#shared/namespace.ts';
import type { NamespaceType } from '#shared/namespace.ts';
import type { Namespace, Sandbox } from '#shared/resources.ts';

/** Marks it, so that a start after a SIGKILL shows the one that lived on instead of making another. */
const label = 'nsfleet-start';
const startedMs = 30_000;

export async function demoSandbox(client: Client, hostId: string, signal: AbortSignal): Promise<{ sandbox: Sandbox; adopted: boolean }> {
  const { sandboxes } = await client.call('sandboxList', { query: { host: hostId, state: 'running', label }, signal });
  const [present] = sandboxes;
  if (present !== undefined) return { sandbox: present, adopted: true };
  const sandbox = await client.call('sandboxCreate', {
    query: { wait: 'running', waitMs: startedMs },
    body: { labels: { [label]: 'true' }, autoRemove: true, spec: { command: ['sleep', 'infinity'], stopGraceMs: 1000 } },
    idempotencyKey: crypto.randomUUID(),
    signal,
  });
  if (sandbox.state === 'running') return { sandbox, adopted: false };
  const { code, reason } = sandbox.error ?? { code: sandbox.state, reason: `it is ${sandbox.state}` };
  throw new NsfleetError('SANDBOX_CREATE_FAILED', { attempted: 'start sandbox', target: sandbox.name, reason: `${code}: ${reason}` });
}

/** All current namespaces of the host, from a scan made now. */
export async function hostNamespaces(client: Client, hostId: string, signal: AbortSignal): Promise<Namespace[]> {
  const found: Namespace[] = [];
  let cursor: string | null = null;
  do {
    const query: Record<string, unknown> = { host: hostId, limit: 1000, live: cursor === null ? 'true' : 'false' };
    if (cursor !== null) query['cursor'] = cursor;
    const page: { namespaces: Namespace[]; nextCursor: string | null } = await client.call('namespaceList', { query, signal });
    found.push(...page.namespaces);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return found;
}

type Row = { type: NamespaceType; all: number; host: Namespace | undefined; own: Namespace | undefined };

/** One row a type: how many the host has, the one that most processes live in, and the sandbox's. */
export function besideHost(namespaces: readonly Namespace[], sandbox: Sandbox): string[] {
  const rows = namespaceTypes.map((type): Row => {
    const ofType = namespaces.filter((namespace) => namespace.type === type);
    const own = sandbox.namespaces.find((namespace) => namespace.type === type);
    const others = ofType.filter((namespace) => namespace.key !== own?.key);
    return {
      type,
      all: ofType.length,
      host: others.toSorted((a, b) => b.processCount - a.processCount)[0],
      own: ofType.find((namespace) => namespace.key === own?.key),
    };
  });
  return tableLines<Row>(
    [
      { name: 'TYPE', cell: (row) => row.type },
      { name: 'ON HOST', align: 'right', cell: (row) => row.all },
      { name: 'HOST’S OWN', align: 'right', cell: (row) => row.host?.inode ?? null },
      { name: 'NPROCS', align: 'right', cell: (row) => row.host?.processCount ?? null },
      { name: `SANDBOX ${sandbox.name}`, align: 'right', cell: (row) => row.own?.inode ?? null },
      { name: 'NPROCS', align: 'right', cell: (row) => row.own?.processCount ?? null },
    ],
    rows,
  );
}
