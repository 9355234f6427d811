/** Waits end: by time, by signal; coalescing runs once more for all that came meanwhile. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { backoffMs, coalesce, deadline, sleep } from '#shared/async.ts';
import { directories } from '#shared/config.ts';
import { NsfleetError } from '#shared/errors.ts';

describe('async', () => {
  it('sleep ends with its signal', async () => {
    const abort = new AbortController();
    const slept = sleep(60_000, abort.signal);
    abort.abort(new Error('enough'));
    await assert.rejects(slept, /enough/);
    await assert.rejects(sleep(1, abort.signal), /enough/);
  });

  it('deadline names what it waited for', async () => {
    await assert.rejects(deadline(new Promise(() => undefined), 5, 'reach', 'h1'), (error: unknown) => {
      assert.ok(error instanceof NsfleetError);
      assert.equal(error.code, 'DEADLINE_EXCEEDED');
      assert.match(error.message, /cannot reach h1/);
      return true;
    });
    assert.equal(await deadline(Promise.resolve(3), 1000, 'x', 'y'), 3);
  });

  it('backoff stays below its maximum', () => {
    assert.equal(
      backoffMs(0, 100, 1000, () => 1),
      100,
    );
    assert.equal(
      backoffMs(50, 100, 1000, () => 1),
      1000,
    );
    assert.equal(
      backoffMs(3, 100, 1000, () => 0),
      0,
    );
  });

  it('coalesce: never two at once, and one more for all that asked meanwhile', async () => {
    let active = 0;
    let runs = 0;
    const ask = coalesce(async () => {
      active += 1;
      assert.equal(active, 1);
      runs += 1;
      await sleep(5);
      active -= 1;
    });
    await Promise.all([ask(), ask(), ask(), ask()]);
    assert.equal(runs, 2);
    await ask();
    assert.equal(runs, 3);
  });
});

describe('directories', () => {
  it('follow XDG, and ignore what is relative', () => {
    const dirs = directories({ HOME: '/home/u', XDG_STATE_HOME: 'relative', XDG_CACHE_HOME: '/c' });
    assert.deepEqual(dirs, {
      config: '/home/u/.config/nsfleet',
      data: '/home/u/.local/share/nsfleet',
      state: '/home/u/.local/state/nsfleet',
      runtime: '/home/u/.local/state/nsfleet/run',
      cache: '/c/nsfleet',
    });
    assert.throws(() => directories({}), NsfleetError);
  });
});
