/**
 * A second host with a kernel of its own, emulated by QEMU: Debian 12's Linux 6.1 over this machine's file system, read-only below a
 * tmpfs. It has every program and the checkout, writes nothing back, and reaches this machine's loopback at 10.0.2.2. It ends with
 * the test process, whichever way that ends.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { compileFixture } from './compile.ts';
import { accepted, openCommands } from './guest/commands.ts';
import type { CommandOptions, CommandResult, Commands } from './guest/commands.ts';
import { characterDeviceMode, cpio, directoryMode, fileMode, programMode } from './guest/initramfs.ts';
import type { Machine } from './guest/machine.ts';

export type GuestOptions = {
  machine: Machine;
  /** an existing directory of the test's, with a short path; what the guest needs there is removed at its end */
  directory: string;
  memoryMib?: number;
  cpus?: number;
};
export type Guest = AsyncDisposable & {
  /** Runs `command` as root, in the checkout, with Node 24 first on PATH. */
  run: (command: readonly string[], options?: CommandOptions) => Promise<CommandResult>;
  /** Shuts it down; resolves when it is off. */
  powerOff: () => Promise<void>;
  /** As if the plug were pulled. */
  kill: () => Promise<void>;
  /** The last of what its kernel and its first process said. */
  console: () => string;
  /** from the start of QEMU to the first command taken */
  bootMs: number;
};

const checkout = fileURLToPath(new URL('../..', import.meta.url));
/** It takes 4 s on an idle machine. */
const bootMsMax = 120_000;
const powerOffMsMax = 20_000;
const consoleCharsMax = 64 * 1024;
const environment = {
  PATH: `${join(checkout, 'node_modules/.bin')}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
  HOME: '/root',
  LANG: 'C.UTF-8',
};

/** Rejects, with what the console said, where it does not boot in two minutes. */
export async function startGuest({ machine, directory, memoryMib = 2048, cpus = 2 }: GuestOptions): Promise<Guest> {
  const own = mkdtempSync(join(directory, 'g'));
  const socketPath = join(own, 'commands');
  const server = createServer().listen(socketPath);
  const startedAt = performance.now();
  let child: ChildProcess | undefined;
  let text = '';
  try {
    await once(server, 'listening');
    const initrd = join(own, 'initrd');
    writeFileSync(initrd, await initramfs(machine, own));
    const [file = '', ...args] = [...bound, ...machine.qemu.command, ...qemuArguments({ machine, initrd, socketPath, memoryMib, cpus })];
    child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...machine.qemu.env } });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (more: string) => {
        text = (text + more).slice(-consoleCharsMax);
      });
    }
    const off = ended(child);
    const commands = await connect(server, off);
    void off.then((reason) => commands.fail(new Error(`${reason}\n${text}`)));
    return {
      run: (command, options = {}) =>
        commands.run(command, {
          cwd: options.cwd ?? checkout,
          env: { ...environment, ...options.env },
          timeoutMs: options.timeoutMs ?? 60_000,
        }),
      powerOff: async () => {
        commands.powerOff();
        const timer = setTimeout(() => child?.kill('SIGKILL'), powerOffMsMax);
        await off.finally(() => clearTimeout(timer));
      },
      kill: () => kill(child),
      console: () => text,
      bootMs: performance.now() - startedAt,
      [Symbol.asyncDispose]: () => release(child, server, own),
    };
  } catch (error) {
    await release(child, server, own);
    throw new Error(`the guest did not start: ${String(error)}\n${text}`, { cause: error });
  }
}

/** QEMU gets SIGKILL when this process ends, even if that is by SIGKILL. */
const bound = ['setpriv', '--pdeathsig', 'KILL'];

type Arguments = { machine: Machine; initrd: string; socketPath: string; memoryMib: number; cpus: number };

function qemuArguments({ machine, initrd, socketPath, memoryMib, cpus }: Arguments): string[] {
  const commandLine = 'console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on';
  return [
    // KVM hangs on machines that are nested themselves.
    ['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', String(cpus), '-m', String(memoryMib)],
    ['-nodefaults', '-no-user-config', '-display', 'none', '-vga', 'none', '-serial', 'stdio', '-no-reboot'],
    ['-kernel', machine.vmlinuz, '-initrd', initrd, '-append', commandLine],
    ['-fsdev', 'local,id=host,path=/,security_model=none,readonly=on,multidevs=remap'],
    ['-device', 'virtio-9p-pci,fsdev=host,mount_tag=host'],
    ['-netdev', 'user,id=net', '-device', 'virtio-net-pci,netdev=net,romfile='],
    ['-chardev', `socket,id=commands,path=${socketPath}`],
    ['-device', 'virtio-serial-pci', '-device', 'virtserialport,chardev=commands,name=nsfleet.commands'],
  ].flat();
}

async function initramfs(machine: Machine, work: string): Promise<Buffer> {
  const init = await compileFixture('guest/*.c', join(work, 'init'));
  const archive = cpio([
    ...['dev', 'modules'].map((path) => ({ path, mode: directoryMode })),
    { path: 'dev/console', mode: characterDeviceMode, device: [5, 1] },
    { path: 'init', mode: programMode, data: readFileSync(init) },
    ...machine.modules.map((path) => ({ path: `modules/${basename(path)}`, mode: fileMode, data: readFileSync(path) })),
  ]);
  // Unpacking is emulated too: the less of it the better.
  return gzipSync(archive, { level: 1 });
}

/** Resolves to the reason. */
async function ended(child: ChildProcess): Promise<string> {
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.once('error', () => resolve([127, null]));
    child.once('close', (code, signal) => resolve([code, signal]));
  });
  return `the guest is off (QEMU ended with ${signal ?? code})`;
}

async function connect(server: Server, off: Promise<string>): Promise<Commands> {
  const limit = AbortSignal.timeout(bootMsMax);
  const early = off.then((reason): never => {
    throw new Error(reason);
  });
  const late = once(limit, 'abort').then((): never => {
    throw new Error(`it took no commands within ${bootMsMax} ms`);
  });
  const socket = await Promise.race([accepted(server, limit), early, late]);
  socket.on('error', () => undefined);
  const commands = openCommands(socket);
  await Promise.race([commands.ready, early, late]);
  return commands;
}

async function kill(child: ChildProcess | undefined): Promise<void> {
  if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
}

async function release(child: ChildProcess | undefined, server: Server, own: string): Promise<void> {
  await kill(child);
  await new Promise((resolve) => {
    server.close(resolve);
  });
  rmSync(own, { recursive: true, force: true });
}
