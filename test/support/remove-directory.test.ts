/** What is mounted below a test's directory goes with it, and nothing that is mounted there from elsewhere. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectories } from './dirs.ts';
import { leakCheck } from './leaks.ts';
import { removeDirectory } from './remove-directory.ts';

leakCheck();
const dirs = temporaryDirectories();
const skip = process.geteuid?.() !== 0 && 'needs root';

test('mounts go first, one on another and with any bytes in their names; what they show stays', { skip }, () => {
  const base = join(dirs.root, 'removed');
  const elsewhere = join(dirs.root, 'elsewhere');
  for (const path of [base, elsewhere]) mkdirSync(path);
  writeFileSync(join(elsewhere, 'precious'), 'kept');
  const script = `
    cd "$1" && odd=$(printf 'a \\\\\\377\\n.') && odd=\${odd%.} && mkdir "$odd" plain &&
    mount -t tmpfs none "$odd" && mkdir "$odd/inner" && mount --bind "$2" "$odd/inner" &&
    mount -t tmpfs none plain && mount -t tmpfs none plain && mount --bind "$2" plain`;
  const { status, stderr } = spawnSync('sh', ['-c', script, 'sh', base, elsewhere], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const { length: beside } = readFileSync('/proc/self/mountinfo', 'latin1')
    .split('\n')
    .filter((line) => !line.includes(base));
  assert.equal(removeDirectory(base).length, 3, 'three places');
  assert.equal(existsSync(base), false);
  assert.equal(readFileSync('/proc/self/mountinfo', 'latin1').split('\n').length, beside, 'no other mount is gone');
  assert.equal(readFileSync(join(elsewhere, 'precious'), 'utf8'), 'kept');
  assert.deepEqual(removeDirectory(base), [], 'a second time there is nothing to do');
});
