/** The rules of DESIGN.md's house, held: forbidden edges, import cycles, file lengths, vague names. `npm run check` runs it. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { filesOf, kindNames } from './runner/kinds.ts';
import { violations } from './support/architecture.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

test('the source keeps the rules of the house', () => {
  const paths = globSync('{agent,controller,native,shared,test}/**/*.{ts,mjs,c,h}', {
    cwd: root,
    exclude: (path) => path === 'native/build',
  });
  assert.ok(paths.length > 100, 'the source is found');
  const files = paths
    .filter((path) => !path.startsWith('native/build/'))
    .map((path) => ({ path, text: readFileSync(`${root}/${path}`, 'utf8') }));
  assert.deepEqual(violations(files), []);
});

test('the lock holds no address of a registry', () => {
  assert.doesNotMatch(readFileSync(`${root}/package-lock.json`, 'utf8'), /"resolved"|https?:\/\/[^"]*\.tgz/);
});

test('each kind of tests that has files has its script, and its short round in .ci/run', () => {
  const { scripts } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as { scripts: Record<string, string> };
  const rounds = readFileSync(`${root}/.ci/run`, 'utf8').split('\n');
  for (const kind of kindNames.filter((name) => name !== 'default' && filesOf(name, root).length > 0)) {
    assert.equal(scripts[`test:${kind}`], `node test/run.mjs --kind ${kind}`);
    assert.ok(rounds.includes(`npm run test:${kind} -- --short`), `.ci/run lacks: npm run test:${kind} -- --short`);
  }
});

const broken: Record<string, { path: string; text: string }[]> = {
  'agent/a.ts must not import controller/b.ts': [{ path: 'agent/a.ts', text: `import { b } from '#controller/b.ts';\n` }],
  'controller/a.ts must not import agent/b.ts': [{ path: 'controller/a.ts', text: `import type { B } from '../agent/b.ts';\n` }],
  'controller/cli/a.ts must not import controller/store/b.ts': [{ path: 'controller/cli/a.ts', text: `import '../store/b.ts';\n` }],
  'shared/a.ts must not import node:fs': [{ path: 'shared/a.ts', text: `import { readFileSync } from 'node:fs';\n` }],
  'agent/a.ts must not import package koffi': [{ path: 'agent/a.ts', text: `import koffi from 'koffi';\n` }],
  'controller/http/a.ts must not import package drizzle-orm/pg-core': [
    { path: 'controller/http/a.ts', text: `import {\n  eq,\n} from 'drizzle-orm/pg-core';\n` },
  ],
  'controller/main.ts must not import package nats': [{ path: 'controller/main.ts', text: `const nats = await import('nats');\n` }],
  'controller/scheduler/place.ts must not import shared/log.ts': [
    { path: 'controller/scheduler/place.ts', text: `import { createLog } from '#shared/log.ts';\n` },
  ],
  'agent/a.ts must not import test/b.ts': [{ path: 'agent/a.ts', text: `import '#test/b.ts';\n` }],
  'import cycle: agent/a.ts → agent/b.ts → agent/a.ts': [
    { path: 'agent/a.ts', text: `import { b } from './b.ts';\n` },
    { path: 'agent/b.ts', text: `export { a } from './a.ts';\n` },
  ],
  'native/a.c: 501 lines, at most 500': [{ path: 'native/a.c', text: '\n'.repeat(501) }],
  'agent/string-utils.ts: a name that does not tell what is in it': [{ path: 'agent/string-utils.ts', text: '' }],
};

for (const [told, files] of Object.entries(broken)) {
  test(`a house in disorder is told: ${told}`, () => {
    assert.deepEqual(violations(files), [told]);
  });
}
