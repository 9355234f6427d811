import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  compileEventFilter,
  compileHostFilter,
  compileLeakFilter,
  compileNamespaceFilter,
  compileSandboxFilter,
  namespaceValues,
} from '#controller/filter/nouns.ts';
import { filteredPage } from '#controller/filter/pages.ts';
import type { ListedNamespace } from '#controller/store/namespace-list.ts';
import { NsfleetError } from '#shared/errors.ts';
import { namespaceFixture } from '../cli/fixtures.ts';

function namespace(change: Partial<ListedNamespace> = {}): ListedNamespace {
  return { ...namespaceFixture(), ageMs: 3_600_000, kinds: { fd: 2 }, ...change };
}

const row = namespace({
  type: 'net',
  processCount: 0,
  referenceCount: 3,
  names: [{ source: 'docker', name: 'web' }],
  details: { hostname: 'h', links: 2 },
  leader: null,
});
const matches = (filter: string, of: ListedNamespace = row) =>
  compileNamespaceFilter(filter).refuse(namespaceValues(of, () => ({ zone: 'a' }))) === null;

for (const filter of [
  'type == "net" && processes == 0 && age > duration("10m")',
  "type=='net'",
  '"type" != type',
  'age <= duration("1h") && age > duration("59m59s")',
  'firstSeen < timestamp("2027-01-01T00:00:00Z") && lastSeen - firstSeen >= duration("0s")',
  'host.labels["zone"] == "a" && host.name.startsWith("web")',
  'holders.fd == 2 && holders.mount == 0 && references == 3',
  '"web" in names && names.exists(n, n == "web")',
  'details.links > 1 && details.hostname == "h"',
  'leader.pid == -1 && leader.comm == "" && ownerUid == -1',
  'current || partial',
  'inode > 4000000000',
  'sandbox == "" && parent == ""',
  'type(age) != type(1)',
]) {
  test(`true: ${filter}`, () => assert.ok(matches(filter)));
}

for (const filter of [
  'details.uidMap.size() > 0',
  'has(details.uidMap)',
  '!current',
  'holders.fd > 2',
  'host.labels["x"] == ""',
  'type == "mnt"',
]) {
  test(`not true, and no failure: ${filter}`, () => assert.equal(matches(filter), false));
}

/** Where the caret stands below the text. */
const wrong: [filter: string, reason: RegExp, marked: string][] = [
  ['type == ', /^Unexpected token: EOF \(column 9\)/, ''],
  ['type == "net" && proceses == 0', /^Unknown variable: proceses \(column 18\)/, 'proceses'],
  ['processes = 0', /\(column 11\)/, '='],
  ['age > 10', /no such overload: duration > int/, 'age'],
  ['type == 1', /no such overload: string == int \(column 1\)/, 'type'],
  ['host.nam == "x"', /No such key: nam \(column 6\)/, 'nam'],
  ['names.map(n, n).matches("(a+)+$")', /matches\(\) is not offered/, 'names'],
];
for (const [filter, reason, marked] of wrong) {
  test(`refused with its place: ${filter}`, () => {
    assert.throws(
      () => compileNamespaceFilter(filter),
      (error) => {
        assert.ok(error instanceof NsfleetError && error.code === 'FILTER_INVALID');
        assert.match(error.reason, reason);
        const [, line = '', caret = ''] = error.reason.split('\n');
        assert.ok(line.slice(caret.indexOf('^')).startsWith(marked), error.reason);
        return true;
      },
    );
  });
}

test('a caret far to the right stands below its place too', () => {
  const long = `${'type == "net" || '.repeat(20)}nosuch`;
  assert.throws(
    () => compileNamespaceFilter(long),
    (error) => {
      assert.ok(error instanceof NsfleetError);
      const [, line = '', caret = ''] = error.reason.split('\n');
      assert.ok(line.length <= 60 && line.slice(caret.indexOf('^')).startsWith('nosuch'), error.reason);
      return true;
    },
  );
});

test('every noun has its words', () => {
  compileHostFilter('status == "ready" && labels["a"] == "b" && used.sandboxes < capacity.sandboxes && facts.cpus > 1');
  compileSandboxFilter('state == "running" && host.name == "a" && age > duration("1h") && command[0] == "sleep"');
  compileEventFilter('type == "namespace.gone" && at > timestamp("2026-01-01T00:00:00Z") && hostId == "a" && seq > 5 && detail.inode == 3');
  compileLeakFilter('rule == "net-without-process" && open && age > duration("1h") && host.name == "a" && type == "net"');
});

test('what the database may leave out is only what the filter refuses', () => {
  const equalities = (filter: string) => Object.fromEntries(compileNamespaceFilter(filter).equalities);
  assert.deepEqual(equalities('type == "net" && host.name == "a" && current && processes == 0'), {
    type: 'net',
    'host.name': 'a',
    current: true,
    processes: 0n,
  });
  assert.deepEqual(equalities('type == "net" || processes == 0'), {});
  assert.deepEqual(equalities('!(type == "net")'), {});
});

test('pages of what a filter leaves are those of the whole list, whatever their size', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(4), { maxLength: 40 }),
      fc.integer({ min: 1, max: 7 }),
      fc.boolean(),
      async (counts, limit, withCursor) => {
        const rows = counts.map((processCount, at) => namespace({ id: String(at + 1), processCount }));
        const source = {
          read: async (cursor: string | undefined, most: number) => {
            const after = rows.filter(({ id }) => Number(id) > Number(cursor ?? 0));
            const page = after.slice(0, Math.min(most, 5));
            return { rows: page, nextCursor: after.length > page.length ? (page.at(-1)?.id ?? null) : null };
          },
          values: (one: ListedNamespace) => namespaceValues(one, () => ({})),
          ...(withCursor ? { cursorOf: ({ id }: ListedNamespace) => id } : {}),
        };
        const filter = compileNamespaceFilter('processes == 0');
        const got: string[] = [];
        for (let cursor: string | undefined; ;) {
          const page = await filteredPage(source, filter, { limit, cursor });
          assert.ok(page.rows.length <= limit);
          got.push(...page.rows.map(({ id }) => id));
          if (page.nextCursor === null) break;
          cursor = page.nextCursor;
        }
        assert.deepEqual(
          got,
          rows.filter(({ processCount }) => processCount === 0).map(({ id }) => id),
        );
      },
    ),
  );
});

test('an expression that would stop the controller by what rows hold is stopped', async () => {
  const joined = Array(60).fill('leader.command').join(' + ');
  const filter = compileNamespaceFilter(`names.all(a, names.all(b, !(${joined}).contains("z" + a + b)))`);
  const names = Array.from({ length: 200 }, (_, index) => ({ source: 'docker' as const, name: `n${index}` }));
  const large = namespace({ names, leader: { pid: 1, uid: 0, comm: 'a', command: 'a'.repeat(100_000) } });
  const source = {
    read: async () => Promise.resolve({ rows: [large], nextCursor: null }),
    values: (of: ListedNamespace) => namespaceValues(of, () => ({})),
  };
  const startedMs = performance.now();
  await assert.rejects(filteredPage(source, filter, { limit: 10 }), (error) => {
    return error instanceof NsfleetError && error.code === 'FILTER_INVALID' && error.reason.includes('longer than');
  });
  assert.ok(performance.now() - startedMs < 10_000);
});

test('no more than a stretch is judged at once, and none is left out', async () => {
  const rows = Array.from({ length: 1001 }, (_, inode) => namespace({ inode }));
  const source = {
    read: async () => Promise.resolve({ rows, nextCursor: null }),
    values: (of: ListedNamespace) => namespaceValues(of, () => ({})),
  };
  const page = await filteredPage(source, compileNamespaceFilter('inode != 500'), { limit: 5000 });
  assert.deepEqual(
    page.rows.map(({ inode }) => inode),
    rows.map(({ inode }) => inode).filter((inode) => inode !== 500),
  );
});
