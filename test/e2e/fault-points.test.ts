/** SIGKILL of the controller at every await of the create path: the retry with the same idempotency key ends with exactly one sandbox. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import { createFaultPoints } from '#controller/fault-points.ts';
import { startFleet } from '#test/support/fleet.ts';
import type { Fleet } from '#test/support/fleet.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();

let fleet: Fleet;
before(async () => {
  fleet = fileResources.use(await startFleet());
});
/** The kernel's answer, not the database's: processes on this host whose command line holds `marker` as `sleep`'s argument. */
function commandsOnHost(marker: string): number {
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, 'latin1') === `sleep\0${marker}\0`;
    } catch {
      return false;
    }
  }).length;
}

/** Reached only where no host fits. */
const refusalPoint = 'create.looked-up';

describe('a controller killed while it creates', () => {
  for (const [index, point] of createFaultPoints.filter((point) => point !== refusalPoint).entries())
    it(`at ${point}`, async () => {
      const marker = `86${300 + index}.5`;
      const name = `fault-${index}`;
      const call = {
        body: { name, spec: { command: ['sleep', marker] } },
        query: { wait: 'running' as const },
        idempotencyKey: randomUUID(),
      };

      await fleet.controller.end('SIGTERM');
      await fleet.controller.start({ NSFLEET_FAULT_POINT: point });
      await fleet.ready();
      await assert.rejects(fleet.client.call('sandboxCreate', call), `the controller should have died at ${point}`);
      assert.equal(await fleet.controller.ended(), 'SIGKILL');

      await fleet.controller.start();
      const sandbox = await fleet.client.call('sandboxCreate', call);
      assert.equal(sandbox.state, 'running');
      assert.equal(commandsOnHost(marker), 1);
      const again = await fleet.client.call('sandboxCreate', call);
      assert.equal(again.id, sandbox.id);
      assert.equal(commandsOnHost(marker), 1);
      const { sandboxes } = await fleet.client.call('sandboxList', { query: { all: 'true' } });
      assert.equal(sandboxes.filter((row) => row.name === name).length, 1);
      await fleet.client.call('sandboxRemove', { params: { sandbox: sandbox.id }, query: { force: 'true', wait: 'removed' } });
      assert.equal(commandsOnHost(marker), 0);
    });

  it(`at ${refusalPoint}`, async () => {
    const marker = '86290.5';
    const spec = { command: ['sleep', marker], constraint: 'host.name == "elsewhere"' };
    const call = { body: { name: 'fits-nowhere', spec }, query: { wait: 'running' as const }, idempotencyKey: randomUUID() };
    await fleet.controller.end('SIGTERM');
    await fleet.controller.start({ NSFLEET_FAULT_POINT: refusalPoint });
    await fleet.ready();
    await assert.rejects(fleet.client.call('sandboxCreate', call));
    assert.equal(await fleet.controller.ended(), 'SIGKILL');
    await fleet.controller.start();
    await fleet.ready();
    await assert.rejects(fleet.client.call('sandboxCreate', call), { code: 'NOT_PLACED' });
    assert.equal(commandsOnHost(marker), 0);
    const { sandboxes } = await fleet.client.call('sandboxList', { query: { all: 'true' } });
    assert.equal(
      sandboxes.some((row) => row.name === 'fits-nowhere'),
      false,
    );
  });
});
