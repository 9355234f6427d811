/** The table of system calls against the kernel's headers of this machine. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { calls } from '#agent/sandbox/seccomp/calls.ts';
import { readHeaders } from '#agent/sandbox/seccomp/make-calls.ts';

const include = '/usr/include';

for (const architecture of ['x86_64', 'aarch64'] as const) {
  test(`${architecture}: whatever the headers name has the number that they say`, (t) => {
    const own = process.arch === 'x64' ? 'x86_64' : 'aarch64';
    if (!existsSync(`${include}/asm-generic/unistd.h`)) return t.skip('no kernel headers here');
    if (architecture === 'x86_64' && own !== 'x86_64') return t.skip('headers of another architecture');
    const headers = readHeaders(architecture, include);
    assert.ok(headers.size > 300);
    for (const [name, number] of headers) assert.equal(calls[architecture].get(name), number, name);
    // Two names for one number would make a rule of one a rule of the other.
    assert.equal(new Set(calls[architecture].values()).size, calls[architecture].size);
  });
}

test('from 424 on both architectures number alike, whatever both have', () => {
  for (const [name, number] of calls.aarch64) if (number >= 424) assert.equal(calls.x86_64.get(name), number, name);
});
