/** SIGKILL of the agent: every sandbox runs on, the next agent adopts them all in 5 s, and their exit codes arrive. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, it } from 'node:test';
import type { Sandbox } from '#shared/resources.ts';
import { startFleet, until } from '#test/support/fleet.ts';
import type { Fleet } from '#test/support/fleet.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();

const count = 20;
const adoptedMs = 5000;

let fleet: Fleet;
before(async () => {
  fleet = fileResources.use(await startFleet());
});
/** Field 22 of /proc/<pid>/stat: with the pid, which process it is. */
const startTicks = (pid: number | null) => readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\)/s, '').split(' ')[20];
const show = (sandbox: Sandbox) => fleet.client.call('sandboxShow', { params: { sandbox: sandbox.id } });

describe(`an agent killed with ${count} sandboxes`, () => {
  it('is followed by one that adopts them all', async (t) => {
    const sandboxes = await Promise.all(
      Array.from({ length: count }, (_, index) =>
        fleet.client.call('sandboxCreate', {
          query: { wait: 'running' },
          body: { name: `kept-${index}`, spec: { command: ['sh', '-c', `trap "exit ${index + 1}" TERM; while :; do sleep 0.05; done`] } },
        }),
      ),
    );
    const ticks = sandboxes.map((sandbox) => startTicks(sandbox.commandPid));
    const [agent] = fleet.agents;
    assert.ok(agent);
    await agent.end('SIGKILL');
    // One ends while no agent is there to hear it.
    const [orphan] = sandboxes;
    assert.ok(orphan?.commandPid);
    process.kill(orphan.commandPid, 'SIGTERM');
    await until('the orphan’s end', () => {
      try {
        return startTicks(orphan.commandPid) === ticks[0] ? null : true;
      } catch {
        return true;
      }
    });

    const began = performance.now();
    await agent.start();
    await until(
      'the new agent to tell of the one that ended',
      async () => ((await show(orphan)).state === 'stopped' ? true : null),
      adoptedMs,
    );
    t.diagnostic(`adopted ${Math.round(performance.now() - began)} ms after the new agent’s start`);
    assert.deepEqual((await show(orphan)).exit, { code: 1, signal: null });

    const rest = sandboxes.slice(1);
    for (const [index, sandbox] of rest.entries()) {
      assert.equal(startTicks(sandbox.commandPid), ticks[index + 1], `${sandbox.name} is the same process`);
      assert.equal((await show(sandbox)).state, 'running');
    }
    const stopped = await Promise.all(
      rest.map((sandbox) => fleet.client.call('sandboxStop', { params: { sandbox: sandbox.id }, query: { wait: 'stopped' }, body: {} })),
    );
    assert.deepEqual(
      stopped.map((sandbox) => sandbox.exit?.code),
      rest.map((_, index) => index + 2),
    );
  });
});
