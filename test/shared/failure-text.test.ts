import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NsfleetError } from '#shared/errors.ts';
import { failureText } from '#shared/failure-text.ts';

test('a failure: code, sentence, what to do; lines stay apart, nothing in it acts on a terminal', () => {
  const error = new NsfleetError('CHILD_DIED', {
    attempted: 'start',
    target: 'nats',
    reason: 'its log:\none\u001b[2J\ntwo',
    remedy: 'look',
  });
  assert.equal(failureText(error, false), 'error: CHILD_DIED: cannot start nats: its log:\n  one\\x1b[2J\n  two\n  what to do: look\n');
  assert.deepEqual(JSON.parse(failureText(error, true)), { error: error.toWire() });
  assert.equal(failureText(error, true).includes('\u001b'), false);
});
