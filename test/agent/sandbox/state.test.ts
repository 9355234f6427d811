/** State files: whole or refused, never half believed. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { parseExitFile } from '#agent/sandbox/exit-file.ts';
import { newRecord } from '#agent/sandbox/record.ts';
import { removeTree } from '#agent/sandbox/remove-tree.ts';
import { parseWord } from '#agent/sandbox/shim-link.ts';
import { decodeRecord, encodeRecord, openStateFiles } from '#agent/sandbox/state.ts';
import { openTombstones } from '#agent/sandbox/tombstones.ts';
import { nextEpoch } from '#agent/epoch.ts';
import { NsfleetError } from '#shared/errors.ts';
import { desired } from '#test/support/controller-side.ts';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
let root: string;
before(() => {
  ({ root } = temporaryDirectories());
});

const record = newRecord(desired(['sh', '-c', 'echo “ü”']), randomUUID(), 5);

test('every single flipped bit, and every shortening, is seen', () => {
  const bytes = Buffer.from(encodeRecord(record));
  assert.deepEqual(decodeRecord(bytes, 'x'), record);
  const refused = (damaged: Buffer) =>
    assert.throws(
      () => decodeRecord(damaged, 'x'),
      (error) => error instanceof NsfleetError && error.code === 'STATE_FILE_DAMAGED',
    );
  for (let at = 0; at < bytes.length; at++) {
    const damaged = Buffer.from(bytes);
    for (let bit = 0; bit < 8; bit++) {
      damaged[at] = (bytes[at] ?? 0) ^ (1 << bit);
      refused(damaged);
    }
    refused(bytes.subarray(0, at));
  }
  refused(Buffer.concat([bytes, Buffer.from('\n')]));
});

test('reads what it wrote; a damaged state is set aside and the intent stands in', async () => {
  const files = openStateFiles(join(root, 'state'));
  const placements = Array.from({ length: 4 }, () => ({ ...record, desired: { ...record.desired, placementId: randomUUID() } }));
  const [whole, damagedState, damagedBoth, intentOnly] = placements as [typeof record, typeof record, typeof record, typeof record];
  const fileOf = (one: typeof record, name: string) => join(files.directoryOf(one.desired.placementId), name);
  for (const one of placements) {
    await files.create(one, null).synced;
    if (one !== intentOnly) files.write({ ...one, state: 'running', statusSeq: 6 });
  }
  for (const path of [fileOf(damagedState, 'state'), fileOf(damagedBoth, 'state'), fileOf(damagedBoth, 'intent')])
    writeFileSync(path, 'nonsense');
  mkdirSync(files.directoryOf(randomUUID()));
  const damaged: string[] = [];
  const stored = await files.readAll((error) => damaged.push(error.code));
  assert.deepEqual(damaged, ['STATE_FILE_DAMAGED', 'STATE_FILE_DAMAGED', 'STATE_FILE_DAMAGED']);
  assert.equal(stored.length, 5);
  const read = ({ desired }: typeof record) => stored.find(({ placementId }) => placementId === desired.placementId);
  assert.deepEqual([read(whole)?.record?.statusSeq, read(whole)?.outdated], [6, false]);
  assert.deepEqual([read(damagedState)?.record?.statusSeq, read(damagedState)?.outdated], [5, true]);
  assert.deepEqual([read(damagedBoth)?.record, read(damagedBoth)?.outdated], [null, true]);
  assert.deepEqual([read(intentOnly)?.record?.statusSeq, read(intentOnly)?.outdated], [5, false]);
  assert.ok(existsSync(`${fileOf(damagedState, 'state')}.damaged`));
});

test('a spare directory becomes a placement’s with its first record', async () => {
  const state = join(root, 'spares');
  const files = openStateFiles(state);
  const spares = () => readdirSync(join(state, 'spare'));
  const read = async (from = files) => (await from.readAll((error) => assert.fail(error)))[0];
  const one = { ...record, desired: { ...record.desired, placementId: randomUUID() } };
  const directory = files.directoryOf(one.desired.placementId);
  const [spare, unused] = [await files.makeSpare(), await files.makeSpare()];
  writeFileSync(`/proc/self/fd/${spare.directory.number}/stdout.log`, 'x');
  await files.create(one, spare).synced;
  assert.deepEqual(readdirSync(directory).sort(), ['intent', 'state', 'stdout.log']);
  assert.deepEqual([(await read())?.record, (await read())?.outdated], [one, false], 'an empty state is none');
  for (const statusSeq of [6, 7]) {
    files.write({ ...one, state: 'running', statusSeq });
    assert.deepEqual([(await read())?.record?.statusSeq, (await read())?.outdated], [statusSeq, false]);
  }
  assert.equal(spares().length, 1);
  await unused.discard();
  await spare.discard();
  assert.deepEqual(spares(), []);
  assert.ok(existsSync(directory));
  files.close();
});

test('a power loss may take the rename of a spare directory back, not its record', async () => {
  const state = join(root, 'power');
  const files = openStateFiles(state);
  const one = { ...record, desired: { ...record.desired, placementId: randomUUID() } };
  const large = {
    ...one,
    desired: { ...one.desired, placementId: randomUUID(), spec: { ...one.desired.spec, command: ['echo', 'n'.repeat(5000)] } },
  };
  for (const placement of [one, large]) {
    const spare = await files.makeSpare();
    const directory = files.directoryOf(placement.desired.placementId);
    await files.create(placement, spare).synced;
    renameSync(directory, join(state, 'spare', randomUUID()));
  }
  files.close();
  // One that nobody took, and one with half a record.
  for (const [name, intent] of [['unused', ''] as const, ['half', encodeRecord(record).slice(0, 300)] as const]) {
    mkdirSync(join(state, 'spare', name));
    writeFileSync(join(state, 'spare', name, 'intent'), intent.padEnd(4096, '\0'));
  }
  const next = openStateFiles(state);
  assert.deepEqual(readdirSync(join(state, 'spare')), []);
  const found = await next.readAll((error) => assert.fail(error));
  assert.deepEqual(
    new Set(found.map(({ record }) => record?.desired.placementId)),
    new Set([one, large].map(({ desired }) => desired.placementId)),
  );
  next.close();
});

test('a state directory that cannot be used is refused with the kernel’s reason', () => {
  writeFileSync(join(root, 'file'), '');
  assert.throws(
    () => openStateFiles(join(root, 'file')),
    (error) => error instanceof NsfleetError && error.code === 'STATE_DIRECTORY_UNUSABLE' && error.reason === 'ENOTDIR',
  );
});

test('the epoch grows with every start, whatever the clock says', async () => {
  const directory = join(root, 'epoch');
  mkdirSync(directory);
  assert.equal(await nextEpoch(directory, () => 1000), 1000);
  assert.equal(await nextEpoch(directory, () => 500), 1001);
  assert.equal(await nextEpoch(directory, () => 5000), 5000);
});

test('removed placements are remembered over a restart', async () => {
  const directory = join(root, 'tombs');
  mkdirSync(directory);
  const tombs = await openTombstones(directory);
  tombs.add('a');
  tombs.add('a');
  tombs.add('b');
  assert.equal(readFileSync(join(directory, 'removed'), 'utf8'), 'a\nb\n');
  const again = await openTombstones(directory);
  assert.deepEqual([again.has('a'), again.has('b'), again.has('c')], [true, true, false]);
});

test('removes trees that are deeper than a path may be long, and follows no link', async () => {
  const top = join(root, 'deep');
  const outside = join(root, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'precious'), '');
  mkdirSync(top);
  symlinkSync(outside, join(top, 'link'));
  const name = 'd'.repeat(250);
  const before = process.cwd();
  process.chdir(top);
  for (let depth = 0; depth < 60; depth++) {
    mkdirSync(name);
    process.chdir(name);
  }
  process.chdir(before);
  await removeTree(top);
  assert.equal(existsSync(top), false);
  assert.ok(existsSync(join(outside, 'precious')));
});

test('exit files and the shim’s lines: exactly what the shim writes', () => {
  assert.deepEqual(parseExitFile('nsfleet-exit 1\ncode 3\nsignal 0\nended_ms 17\n'), { exit: { code: 3, signal: null }, endedMs: 17 });
  assert.deepEqual(parseExitFile('nsfleet-exit 1\ncode -1\nsignal 9\nended_ms 17\n')?.exit, { code: null, signal: 9 });
  for (const text of [
    '',
    'nsfleet-exit 2\ncode 3\nsignal 0\nended_ms 17\n',
    'nsfleet-exit 1\ncode 300\nsignal 0\nended_ms 17\n',
    'nsfleet-exit 1\ncode -1\nsignal 0\nended_ms 17\n',
  ]) {
    assert.equal(parseExitFile(text), null);
  }
  assert.deepEqual(parseWord('running 5 6'), { type: 'running', initPid: 5, commandPid: 6 });
  assert.deepEqual(parseWord('failed 2 -1 exec /bin/no such'), {
    type: 'failed',
    failure: { errnum: 2, op: -1, step: 'exec', detail: '/bin/no such' },
  });
  for (const line of [
    '',
    'running',
    'running 5',
    'running -5 6',
    'running 5 6 7',
    'nsfleet-shim 2 1 2 3',
    'exit 5',
    'exit -1 0',
    'exit 300 0',
    'hello',
  ]) {
    assert.equal(parseWord(line), null, line);
  }
});
