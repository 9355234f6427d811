/** A database that was restored to a time before this boot: the agent, which only beats, is asked to say hello, and all is seen again. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, it } from 'node:test';
import pg from 'pg';
import { startFleet, until } from '#test/support/fleet.ts';
import type { Fleet } from '#test/support/fleet.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();

let fleet: Fleet;
before(async () => {
  fleet = fileResources.use(await startFleet({ agentEnv: { NSFLEET_BEAT_INTERVAL_MS: '300', NSFLEET_SCAN_INTERVAL_MS: '60000' } }));
});
describe('a restored database', () => {
  it('learns of the boot and its namespaces again, and keeps the running sandbox', async () => {
    const sandbox = await fleet.client.call('sandboxCreate', { body: { name: 'kept', spec: { command: ['sleep', '600'] } } });
    const client = new pg.Client({ connectionString: fleet.databaseUrl });
    await client.connect();
    try {
      await client.query(`update agent_sessions set boot_id = $1, epoch = 1, confirmed_at = null`, [randomUUID()]);
      await client.query('delete from namespaces');
    } finally {
      await client.end();
    }
    await until('the namespaces', async () => {
      const { namespaces } = await fleet.client.call('namespaceList', { query: { sandbox: sandbox.id } });
      return namespaces.length === 8 ? true : null;
    });
    const [host] = (await fleet.client.call('hostList')).hosts;
    assert.equal(host?.status, 'ready');
    assert.equal((await fleet.client.call('sandboxShow', { params: { sandbox: 'kept' } })).state, 'running');
  });
});
