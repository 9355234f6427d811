/**
 * The schema of a database as text, from its catalog: migrations/schema.sql is this of a database that all migrations were applied to. It
 * is for reading and comparing. (The embedded server comes without pg_dump.) `UPDATE_SCHEMA=1` with the test in migrate.test.ts writes it.
 */
import type { Store } from '#controller/store/client.ts';
import { select } from './fixture.ts';

type Line = { line: string };

const tables = `
  select c.oid::regclass::text as name, c.relkind::text as kind, c.relpersistence = 'u' as unlogged, c.reloptions as options,
    pg_get_partkeydef(c.oid) as "partitionKey", pg_get_expr(c.relpartbound, c.oid) as bound,
    (select inhparent::regclass::text from pg_inherits where inhrelid = c.oid) as parent, pg_get_viewdef(c.oid, true) as view
  from pg_class c where c.relnamespace::regnamespace::text in ('public', 'nsfleet_views') and c.relkind in ('r', 'p', 'v') order by 1`;

const columns = `
  select format('  %I %s%s%s', a.attname, format_type(a.atttypid, a.atttypmod), case when a.attnotnull then ' NOT NULL' else '' end,
    ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)) as line
  from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum`;

const constraints = `
  select format('  CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)) as line
  from pg_constraint where conrelid = $1::regclass and contype <> 'n' order by contype, conname`;

const indexes = `
  select pg_get_indexdef(i.indexrelid) || ';' as line from pg_index i join pg_class c on c.oid = i.indexrelid
  where i.indrelid = $1::regclass and not exists (select from pg_constraint where conindid = i.indexrelid and contype in ('p', 'u'))
    and not c.relispartition order by c.relname`;

const functions = `select pg_get_functiondef(oid) || ';' as line from pg_proc where pronamespace = 'public'::regnamespace order by proname`;
const sequences = `
  select format('CREATE SEQUENCE %I AS %s;', c.relname, format_type(s.seqtypid, null)) as line
  from pg_sequence s join pg_class c on c.oid = s.seqrelid where c.relnamespace = 'public'::regnamespace order by c.relname`;

type Table = {
  name: string;
  kind: 'r' | 'p' | 'v';
  unlogged: boolean;
  options: string[] | null;
  partitionKey: string | null;
  bound: string | null;
  parent: string | null;
  view: string | null;
};

export async function schemaDump(store: Store): Promise<string> {
  const lines = async (text: string, values: unknown[] = []) => (await select<Line>(store, text, values)).map((row) => row.line);
  const parts = ['-- Made from the catalog by test/controller/store/schema-dump.ts. Not to be edited, not to be run.'];
  parts.push(...(await lines(sequences)), ...(await lines(functions)));
  for (const table of await select<Table>(store, tables)) {
    parts.push('', await statementOf(table, lines), ...(await lines(indexes, [table.name])));
  }
  return `${parts.join('\n')}\n`;
}

async function statementOf(table: Table, lines: (text: string, values: unknown[]) => Promise<string[]>): Promise<string> {
  const { name, kind, view, bound, parent } = table;
  if (kind === 'v') return `CREATE VIEW ${name} AS\n${view ?? ''}`;
  if (bound !== null) return `CREATE TABLE ${name} PARTITION OF ${parent ?? ''} ${bound};`;
  const body = [...(await lines(columns, [name])), ...(await lines(constraints, [name]))].join(',\n');
  const partition = table.partitionKey === null ? '' : ` PARTITION BY ${table.partitionKey}`;
  const options = table.options === null ? '' : ` WITH (${table.options.join(', ')})`;
  return `CREATE ${table.unlogged ? 'UNLOGGED ' : ''}TABLE ${name} (\n${body}\n)${partition}${options};`;
}
