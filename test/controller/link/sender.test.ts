import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { chunksOf } from '#controller/sender.ts';
import { decodeMessage, encodeMessage } from '#shared/messages.ts';
import { requestMaxBytes } from '#shared/api.ts';
import { SandboxSpec } from '#shared/sandbox.ts';
import type { DesiredPlacement } from '#shared/sandbox.ts';

function placement(argumentBytes: number): DesiredPlacement {
  return {
    placementId: randomUUID(),
    sandboxId: randomUUID(),
    name: 'x',
    generation: 1,
    wanted: 'running',
    idRange: { start: 0x7000_0000, count: 65_536 },
    spec: SandboxSpec.parse({ command: ['é'.repeat(argumentBytes / 2)] }),
  };
}

test('every chunk fits into a message, nothing is lost, and the order stays', () => {
  const sizes = fc.array(fc.constantFrom(2, 2000, 60_000, requestMaxBytes - 2000), { maxLength: 30 });
  fc.assert(
    fc.property(sizes, fc.integer({ min: 0, max: 450 }), (large, small) => {
      const placements = [...large.map(placement), ...Array.from({ length: small }, () => placement(2))];
      const chunks = chunksOf(placements);
      for (const chunk of chunks) {
        const bytes = encodeMessage('do', { v: 1, controllerId: randomUUID(), tell: true, hello: false, placements: chunk });
        assert.equal(decodeMessage('do', bytes).placements.length, chunk.length);
      }
      assert.deepEqual(chunks.flat(), placements);
    }),
    { numRuns: 30 },
  );
});
