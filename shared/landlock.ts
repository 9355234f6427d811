/** What a sandbox's processes may reach beside what its namespaces and its users' rights say: landlock(7). */
import { z } from 'zod';
import { AbsolutePath } from './paths.ts';

const pathsMax = 32;
const portsMax = 32;
const Paths = z.array(AbsolutePath).max(pathsMax);
const Ports = z.array(z.int().min(0).max(65_535)).max(portsMax);

export const SandboxLandlock = z.strictObject({
  readable: Paths.default([]).describe(
    'inside, no symlinks: to read and execute, with all below. Naming any path closes all others but /dev',
  ),
  writable: Paths.default([]).describe('inside, no symlinks: to read, execute and change, with all below'),
  bindTcp: Ports.optional().describe('TCP ports that may be listened on, 0: any that the kernel chooses; an empty list: none'),
  connectTcp: Ports.optional().describe('TCP ports that may be connected to'),
});
export type SandboxLandlock = z.infer<typeof SandboxLandlock>;
