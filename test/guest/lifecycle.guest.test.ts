/** How a guest ends, and what it reaches: whatever happens, no QEMU and no file is left (leakCheck). */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { startGuest } from '#test/support/guest.ts';
import { findMachine } from '#test/support/guest/machine.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const machine = await findMachine();
const skip = 'lacking' in machine && machine.lacking;
const directory = temporaryDirectories().root;

async function start(): ReturnType<typeof startGuest> {
  assert.ok(!('lacking' in machine));
  return startGuest({ machine, directory });
}

test('the guest reaches this machine’s loopback, and is shut down', { skip }, async () => {
  await using guest = await start();
  const server = createServer((socket) => socket.end('hello from the machine')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { port } = server.address() as AddressInfo;
    const script = `require('net').connect(${port}, '10.0.2.2').on('data', (data) => console.log(String(data)))`;
    const { stdout, stderr } = await guest.run(['node', '-e', script]);
    assert.equal(stdout, 'hello from the machine\n', stderr);
  } finally {
    server.close();
  }
  await guest.powerOff();
  await assert.rejects(guest.run(['true']), /the guest is off/);
});

test('a command of a guest that loses its power fails', { skip }, async () => {
  await using guest = await start();
  const running = guest.run(['sleep', '60']);
  await guest.run(['true']);
  await Promise.all([guest.kill(), assert.rejects(running, /the guest is off \(QEMU ended with SIGKILL\)/)]);
});

test('a guest ends with the process that started it, also by SIGKILL', { skip }, async () => {
  const script = `
    import { startGuest } from '#test/support/guest.ts';
    import { findMachine } from '#test/support/guest/machine.ts';
    const guest = await startGuest({ machine: await findMachine(), directory: process.argv[1] });
    console.log((await guest.run(['uname', '-r'])).stdout);
    setInterval(() => {}, 1000);`;
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script, directory], { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(owner, 'close');
  const [text] = (await once(owner.stdout, 'data')) as [Buffer];
  assert.match(text.toString(), /^6\.1\./);
  owner.kill('SIGKILL');
  await closed;
});

test('one that cannot boot tells why, and leaves nothing', { skip }, async () => {
  assert.ok(!('lacking' in machine));
  const before = readdirSync(directory);
  const withoutRoot = { ...machine, modules: machine.modules.filter((path) => !path.endsWith('/9p.ko')) };
  await assert.rejects(startGuest({ machine: withoutRoot, directory }), /guest: \/lower: No such device/);
  assert.deepEqual(readdirSync(directory), before);
});
