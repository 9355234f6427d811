/** Events as tables: what happened, in words. */
import type { Event } from '#shared/resources.ts';
import { toldHolder } from '../namespace/holders.ts';
import { nameText } from '../namespace/names.ts';
import { joined, raw, shown } from '../output/raw.ts';
import type { Shown } from '../output/raw.ts';
import type { Column } from '../output/table.ts';
import type { NamespaceName } from '#shared/namespace-details.ts';

type HostNames = ReadonlyMap<string, string>;

/** Widths at which most of a stream stands straight. */
const widths = { SEQ: 8, TIME: 24, TYPE: 18, HOST: 10, NS: 8 };

/** To be printed uncut: WHAT is the last one, and what happened is not to be guessed. `hosts`: names by id; a host that is not in it is shown by its id. `stream`: for rows that are printed one by one. */
export function eventColumns(hosts: HostNames, stream = false): Column<Event>[] {
  const columns: Column<Event>[] = [
    { name: 'SEQ', align: 'right', cell: (event) => event.seq },
    { name: 'TIME', cell: (event) => event.at },
    { name: 'TYPE', cell: (event) => event.type },
    { name: 'HOST', cell: (event) => (event.hostId === null ? null : (hosts.get(event.hostId) ?? event.hostId)) },
    { name: 'ID', align: 'right', cell: (event) => event.namespaceId },
    { name: 'WHAT', cell: whatHappened },
  ];
  return stream ? columns.map((column) => ({ ...column, minWidth: widths[column.name as keyof typeof widths] ?? 0 })) : columns;
}

/** What the event's detail tells, without what the other columns do. */
export function whatHappened({ type, sandboxId, detail }: Event): Shown {
  const { changed, holder, heldBy, unseen, reason } = detail;
  const subject = isObject(detail) && typeof detail['inode'] === 'number' ? namespaceText(detail) : null;
  switch (type) {
    case 'namespace.appeared':
    case 'namespace.gone':
      return shown`${subject ?? plainText(detail)}${unseen === true ? ' (nobody watched)' : ''}`;
    case 'namespace.changed':
      return shown`${subject}: ${isObject(changed) ? changesText(changed) : ''}`;
    case 'holder.lost':
      return shown`${subject ?? text(detail['type'])} lost${isObject(holder) ? toldHolder(holder) : ''}${heldBy === undefined ? '' : shown`, held by ${text(heldBy)}`}`;
    case 'leak.found':
    case 'leak.cleared':
      return shown`${text(detail['rule'])}: ${text(reason)}`;
    default:
      return shown`${sandboxId === null ? '' : `sandbox ${sandboxId} `}${plainText(detail)}`;
  }
}

/** `leader: 12 (sh) → 14 (sleep); details.hostname: a → b` */
export function changesText(changes: Readonly<Record<string, unknown>>): Shown {
  const parts = Object.entries(changes).map(([field, change]) => {
    const { from, to } = isObject(change) ? change : {};
    return shown`${field.replace(/^details\./u, '')}: ${valueText(field, from)} → ${valueText(field, to)}`;
  });
  return joined(parts, '; ');
}

function namespaceText(detail: Readonly<Record<string, unknown>>): Shown {
  const [name] = namesOf(detail['names']);
  const comm = detail['comm'];
  return shown`${text(detail['type'])} ${text(detail['inode'])}${name === undefined ? '' : shown` ${nameText(name)}`}${comm === undefined ? '' : shown` (${text(comm)})`}`;
}

function valueText(field: string, value: unknown): Shown {
  if (value === null || value === undefined) return shown`none`;
  if (field === 'leader' && isObject(value)) return shown`${text(value['pid'])} (${text(value['command'] || value['comm'])})`;
  if (field === 'names') {
    const names = namesOf(value);
    return names.length === 0
      ? shown`none`
      : joined(
          names.map((name) => nameText(name)),
          ',',
        );
  }
  return text(value);
}

function namesOf(value: unknown): NamespaceName[] {
  return Array.isArray(value) ? value.filter((name): name is NamespaceName => isObject(name) && typeof name['name'] === 'string') : [];
}

/** `key=value` … of what has no words of its own. */
function plainText(detail: Readonly<Record<string, unknown>>): Shown {
  return joined(
    Object.entries(detail).map(([key, value]) => shown`${key}=${text(value)}`),
    ' ',
  );
}

function text(value: unknown): Shown {
  if (value === null || value === undefined) return shown`-`;
  return raw(typeof value === 'string' ? value : JSON.stringify(value)) ?? shown`-`;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
