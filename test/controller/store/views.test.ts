import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { applyReport } from '#controller/store/reports.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { freshStore, namespaceOf, processOf, readyHost, referenceOf, reportOf, select } from './fixture.ts';

leakCheck();

const documentation = readFileSync(new URL('../../../docs/sql-views.md', import.meta.url), 'utf8');

test('a role with what the documentation grants reads every view, and nothing else', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const hello = await readyHost(store, 'a');
  const rows = { namespaces: [namespaceOf('net', 1), namespaceOf('net', 2)], processes: [processOf(7)], references: [referenceOf('f', 1)] };
  await applyReport(store, reportOf(hello, 1, 'snapshot', rows));
  await applyReport(store, reportOf(hello, 2, 'delta', { namespacesGone: [{ type: 'net', key: 'id:2' }] }));
  const role = `t_${randomBytes(6).toString('hex')}`;
  const grants = /```sql\n(CREATE ROLE[^]*?)```/.exec(documentation)?.[1] ?? '';
  const client = await store.pool.connect();
  try {
    await client.query(grants.replaceAll('dashboard', role));
    await client.query(`set role ${role}`);
    const count = async (view: string) => (await client.query(`select * from nsfleet_views.${view}`)).rows.length;
    assert.deepEqual(
      [await count('hosts'), await count('namespaces'), await count('namespace_history'), await count('holders')],
      [1, 1, 2, 1],
    );
    assert.ok((await count('events')) > 3);
    assert.deepEqual([await count('leaks'), await count('sandboxes')], [0, 0]);
    await assert.rejects(client.query('select * from public.hosts'), { code: '42501' });
    await assert.rejects(client.query('delete from nsfleet_views.events'), { code: '42501' });
  } finally {
    await client.query('reset role');
    await client.query(`drop owned by ${role}`);
    await client.query(`drop role if exists ${role}`);
    client.release();
  }
});

test('the documentation names every column, and its queries run', async () => {
  await using fresh = await freshStore();
  const { store } = fresh;
  const columns = await select<{ view: string; name: string }>(
    store,
    `select table_name as view, column_name as name from information_schema.columns where table_schema = 'nsfleet_views'`,
  );
  const lines = new Map(documentation.split('\n').map((line) => [/^\| `([a-z_]+)` \|/.exec(line)?.[1] ?? '', line]));
  const namespaceLine = lines.get('namespaces') ?? '';
  for (const { view, name } of columns) {
    const line = `${lines.get(view) ?? ''}${view === 'namespace_history' ? namespaceLine : ''}`;
    assert.ok(line.includes(`\`${name}\``), `${view}.${name} is not documented`);
  }
  const queries = /```sql\n(-- network[^]*?)```/.exec(documentation)?.[1]?.split(';') ?? [];
  for (const query of queries) await select(store, query.replace('$1', '0'));
  assert.equal(queries.length, 4);
});
