import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureError } from '#agent/sandbox/failures.ts';

test('a command that is not there: the advice fits the kind of root', () => {
  const failure = { errnum: 2, op: -1, step: 'exec', detail: 'nope' };
  const context = { attempted: 'start', target: 'web', fallback: 'SANDBOX_CREATE_FAILED' as const };
  const onHost = failureError(failure, { ...context, rootIsDirectory: false });
  const inDirectory = failureError(failure, { ...context, rootIsDirectory: true });
  assert.deepEqual([onHost.code, inDirectory.code], ['COMMAND_NOT_FOUND', 'COMMAND_NOT_FOUND']);
  assert.match(onHost.remedy, /the host root offers/);
  assert.match(inDirectory.remedy, /inside the root directory/);
  assert.doesNotMatch(inDirectory.remedy, /host/);
});
