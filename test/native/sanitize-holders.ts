/** Run by sanitize.test.ts under LD_PRELOAD, beside a namespace in every hiding place; argv[2] is the sanitized library. Ends with "done". */
import assert from 'node:assert/strict';
import { createDiscovery } from '#agent/inventory/discover.ts';
import { loadNative } from '#native/binding.ts';

const native = loadNative({ library: process.argv[2] ?? '', foundRoom: { references: 4, namespaces: 4, textBytes: 64 } });
const discovery = createDiscovery(native);
for (let round = 0; round < 3; round++) {
  const { references } = await discovery.discover();
  const kinds = new Set(references.map(({ kind }) => kind));
  for (const kind of ['thread', 'fd', 'thread_fd', 'socket', 'mount'] as const) assert.ok(kinds.has(kind), kind);
}
console.log('done');
