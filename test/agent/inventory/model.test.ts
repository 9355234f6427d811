import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { createCommandLines, startOf } from '#agent/inventory/command-lines.ts';
import { buildModel } from '#agent/inventory/model.ts';
import { loadNative } from '#native/binding.ts';
import { ReportedNamespace, ReportedProcess } from '#shared/inventory.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();

test('this machine’s own model satisfies the wire’s schemas, and knows this process', async () => {
  const native = loadNative();
  const scan = await native.scan();
  const lines = createCommandLines();
  await lines.update(scan);
  const { model } = buildModel(scan, new Map(), lines.of, 1);
  for (const row of model.namespaces.values()) ReportedNamespace.parse(row);
  for (const row of model.processes.values()) ReportedProcess.parse(row);
  const self = [...model.processes.values()].find(({ pid }) => pid === process.pid);
  for (const [index, key] of (self?.namespaces ?? []).entries()) {
    const found = [...model.namespaces.values()].filter((row) => row.key === key);
    assert.equal(found.length, 1, `namespace ${index}`);
  }
  assert.deepEqual(self?.forChildren, [null, null]);
});

test('a leader’s command line: its bytes are kept exactly, and the limit holds', async () => {
  const native = loadNative();
  const hostile = '\u001b[2J\u202eevil\u0007' + 'x'.repeat(6000);
  const child = spawn('unshare', ['-u', 'sh', '-c', 'echo ready; read x', hostile], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    await once(child.stdout, 'data');
    const scan = await native.scan();
    const lines = createCommandLines();
    await lines.update(scan);
    const start = scan.processes.find(({ pid }) => pid === child.pid)?.startTicks ?? '';
    const command = lines.of(child.pid ?? 0, start, 'sh');
    assert.equal(command, `sh -c echo ready; read x ${hostile}`.slice(0, 4096 - 2), 'one character has three bytes');
  } finally {
    child.stdin.end();
    await once(child, 'exit');
  }
});

test('a start time is found whatever the process calls itself', () => {
  const fields = Array.from({ length: 50 }, (_, index) => String(index + 3));
  assert.equal(startOf(`7 (a) b) (c) S ${fields.slice(1).join(' ')}`), '22');
});
