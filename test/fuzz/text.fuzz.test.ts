/**
 * Every parser of /proc text and of watch records in TypeScript: mutations of test/fuzz/corpus, and texts made by fast-check as the kernel would write
 * them, which must come back as they went in. Whatever the input, a parser returns or throws its own error, soon, and what it returns can be stored.
 * Times, seeds and crashes as in native.fuzz.test.ts.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { createRecordReader } from '#agent/changes/records.ts';
import type { WatcherWord } from '#agent/changes/records.ts';
import { startOf } from '#agent/inventory/command-lines.ts';
import { namesOfCgroups } from '#agent/inventory/describe/cgroup-names.ts';
import { cgroupRootOf } from '#agent/inventory/describe/cgroup-root.ts';
import { parseIdMap, parseNsPids, parseTimeOffsets } from '#agent/inventory/describe/proc-text.ts';
import { parseMountinfo, propagationText } from '#agent/inventory/mount-table.ts';
import { socketText } from '#agent/inventory/socket-text.ts';
import { NsfleetError } from '#shared/errors.ts';
import { NamespaceDetails, NamespaceName } from '#shared/namespace-details.ts';
import { RawText, printableRaw, rawBytes, rawText } from '#shared/raw-text.ts';
import { createDraw, mutated } from './mutate.ts';
import { corpusFiles, fuzzSeconds, fuzzSeed, keepCrash } from './rounds.ts';

/** Of one call, on a busy machine. What the kernel gives at once is 64 KiB or less; a parser of it takes some milliseconds. */
const slowMs = 2000;
/** Between looks at the clock, and for the event loop. */
const runsPerTurn = 64;

/** Its own refusal is an answer; anything else that is thrown is a crash. */
function refusable<T>(parse: () => T): T | null {
  try {
    return parse();
  } catch (error) {
    if (error instanceof NsfleetError && error.code === 'MESSAGE_MALFORMED') return null;
    throw error;
  }
}

const storable = (text: string): void => void RawText.parse(text);
const idMap = NamespaceDetails.shape.uidMap;

const parsers: Record<string, { corpus: string[]; run: (bytes: Buffer, draw: (below: number) => number) => void }> = {
  'mount-table': {
    corpus: ['mountinfo'],
    run(bytes) {
      for (const row of parseMountinfo(bytes)) {
        assert.ok(Number.isSafeInteger(row.mountId) && Number.isSafeInteger(row.parentId));
        assert.match(propagationText(row.propagation), /^(private|shared|slave|unbindable|,)+$/);
        // Of a line that is longer than any that the kernel writes the text may be cut: what is stored is within the limit.
        for (const text of [row.root, row.target, row.fsType, row.source, row.options, row.superOptions]) storable(text);
      }
    },
  },
  'id-map': { corpus: ['id-map'], run: (bytes) => void idMap.nullable().parse(refusable(() => parseIdMap(bytes.toString('latin1')))) },
  'time-offsets': {
    corpus: ['time-offsets'],
    run(bytes) {
      const offsets = refusable(() => parseTimeOffsets(bytes.toString('latin1')));
      if (offsets !== null) for (const text of Object.values(offsets)) assert.match(text, /^(0|-?[1-9][0-9]*)$/);
    },
  },
  status: {
    corpus: ['status'],
    run(bytes) {
      const pids = refusable(() => parseNsPids(bytes.toString('latin1')));
      assert.ok(pids === null || (pids.length > 0 && pids.every((pid) => Number.isSafeInteger(pid) && pid >= 0)));
    },
  },
  'cgroup-names': {
    corpus: ['cgroup'],
    run(bytes) {
      const names = namesOfCgroups(bytes);
      for (const name of names) NamespaceName.parse(name);
      assert.equal(new Set(names.map(({ source }) => source)).size, names.length);
    },
  },
  'cgroup-root': {
    corpus: ['cgroup'],
    run(bytes, draw) {
      const at = draw(bytes.length + 1);
      for (const [outside, inside] of [
        [bytes, bytes],
        [bytes.subarray(0, at), bytes.subarray(at)],
      ] as const) {
        const root = cgroupRootOf(outside, inside);
        if (root !== null) storable(root);
      }
    },
  },
  'stat-start': {
    corpus: ['stat'],
    run(bytes) {
      const start = startOf(bytes.toString('latin1'));
      assert.ok(start === undefined || !start.includes(' '));
    },
  },
  'change-records': {
    corpus: ['change-records'],
    run(bytes, draw) {
      const whole: WatcherWord[] = [];
      const inParts: WatcherWord[] = [];
      createRecordReader((word) => whole.push(word))(bytes);
      const read = createRecordReader((word) => inParts.push(word));
      for (let at = 0; at < bytes.length;) {
        const end = at + 1 + draw(20);
        read(bytes.subarray(at, end));
        at = end;
      }
      assert.deepEqual(inParts, whole);
      assert.equal(whole.length, Math.floor(bytes.length / 8));
    },
  },
  'socket-text': {
    corpus: ['socket'],
    run(bytes, draw) {
      const family = bytes.length < 2 ? draw(64) : bytes.readUInt16LE(0);
      storable(socketText(family, draw(12), bytes.subarray(0, 128)));
    },
  },
  'raw-text': {
    corpus: ['raw-text', 'cgroup', 'mountinfo'],
    run(bytes, draw) {
      const max = draw(2) === 0 ? undefined : draw(100);
      const text = rawText(bytes, max);
      storable(text);
      assert.deepEqual(Buffer.from(rawBytes(text)), bytes.subarray(0, max ?? 4096));
      // oxlint-disable-next-line no-control-regex
      assert.doesNotMatch(printableRaw(text), /[\u0000-\u001f\u007f-\u009f]/u);
      // As if a user had typed it.
      rawBytes(bytes.toString('latin1'));
    },
  },
};

for (const [name, { corpus, run }] of Object.entries(parsers)) {
  test(`${name} survives all`, async (context) => {
    const draw = createDraw(fuzzSeed);
    const given = corpusFiles(corpus).map((file) => readFileSync(file));
    const end = performance.now() + fuzzSeconds * 1000;
    let runs = 0;
    const once = (input: Buffer): void => {
      const startedAt = performance.now();
      try {
        run(input, draw);
      } catch (error) {
        assert.fail(`${keepCrash(name, input)}\n${error instanceof Error ? error.stack : String(error)}`);
      }
      const tookMs = performance.now() - startedAt;
      if (tookMs > slowMs) assert.fail(`took ${tookMs} ms; ${keepCrash(name, input)}`);
      runs += 1;
    };
    for (const input of given) once(input);
    while (performance.now() < end) {
      for (let turn = 0; turn < runsPerTurn; turn += 1) once(mutated(given, draw));
      await new Promise((resolve) => setImmediate(resolve));
    }
    context.diagnostic(`${name}: ${runs} executions, seed ${fuzzSeed}, ${given.length} inputs given`);
  });
}

const hostileNames = ['a) R 1 (', '\rNSpid:\t1\r', '\nNSpid:\t1', '\x85NSpid:\t1', '\\040', '0::', ' - ', '\u001b[2J'];
/** A name as the kernel lets any process choose it: no NUL, no slash. */
const nameBytes = fc
  .oneof(
    fc.uint8Array({ minLength: 1, maxLength: 40 }),
    fc.constantFrom(...hostileNames).map((name) => Buffer.from(name, 'latin1')),
  )
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x29 : byte))));
/** fs/proc_namespace.c: mangle() */
const mangled = (bytes: Buffer): string =>
  bytes.toString('latin1').replaceAll(/[ \t\n\\#]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);

const written: Record<string, fc.IProperty<[Buffer]>> = {
  'a mount’s names come back exactly': fc.property(nameBytes, (name) => {
    const line = `36 35 0:4 /${mangled(name)} /${mangled(name)} rw shared:1 - nsfs ${mangled(name)} rw\n`;
    const [row, ...others] = parseMountinfo(Buffer.from(line + line, 'latin1'));
    assert.equal(others.length, 1);
    const path = Buffer.concat([Buffer.from('/'), name]);
    assert.deepEqual([row?.root, row?.target, row?.source], [rawText(path), rawText(path), rawText(name)]);
  }),
  'a process’s start is found behind any name': fc.property(nameBytes, (name) => {
    assert.equal(startOf(`7 (${name.toString('latin1')}) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0\n`), '4242');
  }),
  'a process’s pids are the kernel’s whatever its name': fc.property(nameBytes, (name) => {
    // fs/proc/array.c: proc_task_name()
    const told = name.toString('latin1').replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
    assert.deepEqual(parseNsPids(`Name:\t${told}\nNgid:\t0\nNSpid:\t4242\t17\t1\nNSpgid:\t1\n`), [4242, 17, 1]);
  }),
  'a cgroup’s root is what outside has more': fc.property(
    nameBytes.filter((name) => !name.includes(0x0a) && !name.equals(Buffer.from('..'))),
    (name) => {
      const text = name.toString('latin1');
      const of = (path: string): Buffer => Buffer.from(`1:name=systemd:/x\n0::${path}\n`, 'latin1');
      assert.equal(cgroupRootOf(of(`/a/${text}/b`), of('/b')), rawText(Buffer.from(`/a/${text}`, 'latin1')));
    },
  ),
};

for (const [name, property] of Object.entries(written)) {
  test(name, (context) => {
    const limits = { seed: fuzzSeed, numRuns: Infinity, interruptAfterTimeLimit: fuzzSeconds * 1000, markInterruptAsFailure: false };
    const { numRuns, failed, counterexample, errorInstance } = fc.check(property, limits);
    if (failed) assert.fail(`${counterexample === null ? '' : keepCrash('written', counterexample[0])}\n${String(errorInstance)}`);
    context.diagnostic(`${name}: ${numRuns} executions, seed ${fuzzSeed}`);
  });
}
