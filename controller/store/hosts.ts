/** Hosts: making them known, finding them, and their agents' sessions (boot id, epoch): hello begins one, heartbeats go on in it. */
import { sql } from 'drizzle-orm';
import { NsfleetError } from '#shared/errors.ts';
import type { HostHello, Labels } from '#shared/host.ts';
import type { Beat } from '#shared/messages.ts';
import { placementDigest } from '#shared/placement.ts';
import type { PlacementSummary } from '#shared/placement.ts';
import type { Host } from '#shared/resources.ts';
import { rowsOf, transact } from './client.ts';
import type { Store, Tx } from './client.ts';
import { appendEvents } from './events.ts';
import type { NewEvent } from './events.ts';
import { hostColumns, hostOf, hostTables } from './host-row.ts';
import type { HostRow } from './host-row.ts';
import { endBoot } from './intervals.ts';
import { notify } from './listen.ts';
import { lockSession } from './session.ts';
import type { Session } from './session.ts';

/**
 * Makes a host known. The same again with the same key is the same answer; an id or a public key that is another's is INVALID_INPUT, so
 * that no key can take over a host.
 */
export async function enrollHost(tx: Tx, { id, name, publicKey }: { id: string; name: string; publicKey: string }): Promise<Host> {
  await rowsOf(
    tx,
    'enroll host',
    sql`with enrolled as (
        insert into hosts (id, name, public_key) values (${id}, ${name}, ${publicKey}) on conflict do nothing returning id
      ), session as (
        insert into agent_sessions (host_id) select id from enrolled
      ), beat as (
        insert into beats (host_id) select id from enrolled
      )
      insert into events (type, host_id, detail) select 'host.enrolled', id, jsonb_build_object('name', ${name}::text) from enrolled`,
  );
  const [known] = await rowsOf<{ publicKey: string }>(tx, 'enroll host', sql`select public_key as "publicKey" from hosts where id = ${id}`);
  if (known?.publicKey === publicKey) return findHost(tx, id);
  throw new NsfleetError('INVALID_INPUT', {
    attempted: 'enroll host',
    target: id,
    reason: known === undefined ? 'its public key is already that of another host' : 'it is already enrolled with another public key',
    remedy: 'take another host id, or a new key',
  });
}

export type HostPage = { hosts: Host[]; nextCursor: string | null };

/** Hosts by name. `cursor` is the id of the last host of the page before. */
export async function listHosts(
  tx: Tx,
  { limit, cursor = null }: { limit: number; cursor?: string | null | undefined },
): Promise<HostPage> {
  const rows = await rowsOf<HostRow>(
    tx,
    'list hosts',
    sql`select ${hostColumns} from ${hostTables}
      where ${cursor}::text is null or (h.name, h.id) > (select name, id from hosts where id = ${cursor})
      order by h.name, h.id limit ${limit + 1}`,
  );
  const hosts = rows.slice(0, limit).map(hostOf);
  return { hosts, nextCursor: rows.length > limit ? (hosts.at(-1)?.id ?? null) : null };
}

/** Labels by host id, of all hosts: for filters. None for one that was enrolled since. */
export async function hostLabels(tx: Tx): Promise<(hostId: string) => Labels> {
  const rows = await rowsOf<{ id: string; labels: Labels }>(tx, 'read the labels of hosts', sql`select id, labels from hosts`);
  const labels = new Map(rows.map((row) => [row.id, row.labels]));
  return (hostId) => labels.get(hostId) ?? {};
}

/** By id, else by name. HOST_NOT_FOUND, or HOST_AMBIGUOUS where several have that name. */
export async function findHost(tx: Tx, idOrName: string): Promise<Host> {
  const rows = await rowsOf<HostRow>(
    tx,
    'find host',
    sql`select ${hostColumns} from ${hostTables}
      where h.id = ${idOrName} or (h.name = ${idOrName} and not exists (select 1 from hosts where id = ${idOrName}))
      order by h.id limit 6`,
  );
  const [host] = rows;
  const refused = { attempted: 'find host', target: idOrName };
  if (host === undefined) throw new NsfleetError('HOST_NOT_FOUND', { ...refused, reason: 'no host has that id or name' });
  if (rows.length > 1) {
    const ids = rows.map((row) => row.id).join(', ');
    throw new NsfleetError('HOST_AMBIGUOUS', { ...refused, reason: `several hosts have that name: ${ids}` });
  }
  return hostOf(host);
}

/**
 * An agent has started or connected again. `known` is false, and nothing is written, for a host that was never enrolled. A new boot id
 * ends what the old boot had (as of when it was last seen to be there), and makes all its placements unanswered, for the agent to judge.
 *
 * Throws REPORT_STALE where an agent with a higher epoch of the same boot is alive: two run with one identity. If that one is silent,
 * the lower epoch is believed: its state directory was lost.
 */
export async function recordHello(store: Store, hello: HostHello): Promise<{ known: boolean; rebooted: boolean }> {
  const result = await transact(
    store,
    async (tx) => {
      const session = await lockSession(tx, hello.hostId);
      if (session === undefined) return { known: false, rebooted: false };
      refuseSecondAgent(hello, session);
      const rebooted = session.bootId !== null && session.bootId !== hello.bootId;
      const happened: NewEvent[] = [];
      if (session.bootId !== null && rebooted) {
        happened.push({ type: 'host.rebooted', hostId: hello.hostId, detail: { bootId: hello.bootId, before: session.bootId } });
        happened.push(...(await endBoot(tx, { hostId: hello.hostId, bootId: session.bootId }, session.confirmedAt)));
      } else if (session.epoch !== hello.epoch || !session.ready) {
        happened.push({ type: 'host.connected', hostId: hello.hostId, detail: { bootId: hello.bootId, epoch: hello.epoch } });
      }
      await writeHello(tx, hello, session, rebooted);
      await appendEvents(tx, happened);
      return { known: true, rebooted };
    },
    'record the hello of a host',
  );
  if (result.known) store.notifications.tell('host', hello.hostId);
  return result;
}

function refuseSecondAgent(hello: HostHello, session: Session): void {
  if (session.bootId !== hello.bootId || session.epoch === null || hello.epoch >= session.epoch || !session.ready) return;
  throw new NsfleetError('REPORT_STALE', {
    attempted: 'accept the agent of host',
    target: hello.hostId,
    reason: `its epoch is ${hello.epoch}, and an agent of epoch ${session.epoch} is alive`,
  });
}

async function writeHello(tx: Tx, hello: HostHello, session: Session, rebooted: boolean): Promise<void> {
  const json = (value: unknown) => sql`${JSON.stringify(value)}::jsonb`;
  await rowsOf(
    tx,
    'record the hello of a host',
    sql`with host as (
        update hosts set labels = ${json(hello.labels)}, capacity = ${json(hello.capacity)},
          id_pool = ${json(hello.idPool)}, facts = ${json(hello.facts)}
        where id = ${hello.hostId}
      ), session as (
        update agent_sessions set boot_id = ${hello.bootId}, epoch = ${hello.epoch}, confirmed_at = ${session.confirmedAt}::timestamptz
        where host_id = ${hello.hostId}
      ), beat as (
        update beats set at = now() where host_id = ${hello.hostId}
      ), unanswered as (
        update placements set answered_generation = 0
        where ${rebooted} and host_id = ${hello.hostId} and state <> 'removed'
      )
      select ${notify('host', hello.hostId)}`,
  );
}

/**
 * A sign of life. `known` is false where the host, or this session of it, is not known: its hello is missing. `digestMatches` is false
 * where host and database do not agree on the placements: send the host the whole. Its commit does not wait for the disk: a crash of the
 * server may take the last beats with it, and the next ones come in seconds.
 */
export async function recordBeat(store: Store, beat: Beat): Promise<{ known: boolean; digestMatches: boolean }> {
  const rows = await rowsOf<{ known: boolean } & (PlacementSummary | { placementId: null })>(
    store.db,
    'record a heartbeat',
    sql`with beat as (
        update beats b set at = now(), load1 = ${beat.load1}
        from agent_sessions a
        where b.host_id = ${beat.hostId} and a.host_id = b.host_id and a.boot_id = ${beat.bootId} and a.epoch = ${beat.epoch}
        returning b.host_id
      )
      select set_config('synchronous_commit', 'off', true), exists (select from beat) as known, p.id as "placementId", p.generation, p.state
      from (select) one left join placements p on p.host_id = ${beat.hostId} and p.state <> 'removed'`,
  );
  const placements = rows.filter((row): row is { known: boolean } & PlacementSummary => row.placementId !== null);
  return { known: rows[0]?.known ?? false, digestMatches: placementDigest(placements) === beat.digest };
}
