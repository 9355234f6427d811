/** `nsfleet controller`: runs a controller in the foreground, as production does. */
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import type { Attach } from '../program.ts';

const main = fileURLToPath(new URL('../../main.ts', import.meta.url));

export function controllerCommand(attach: Attach): Command {
  const controller = new Command('controller')
    .description('run a controller in the foreground; its settings come from the environment')
    .usage('[arguments...]')
    .argument('[arguments...]', 'passed on')
    .allowUnknownOption()
    .passThroughOptions();
  return attach(controller, async () => {
    // The controller takes this process's place: the same pid, signals and standard streams, and nothing between it and a supervisor.
    process.execve?.(process.execPath, [process.execPath, main, ...controller.args], process.env);
    throw new Error('execve returned');
  });
}
