/** `nsfleet controller`: runs a controller in the foreground, as production does. */
import { Command } from 'commander';
import type { Attach } from '../program.ts';
import { becomeProgram } from './program-file.ts';

export function controllerCommand(attach: Attach): Command {
  const controller = new Command('controller')
    .description('run a controller in the foreground; its settings come from the environment')
    .usage('[arguments...]')
    .argument('[arguments...]', 'passed on')
    .allowUnknownOption()
    .passThroughOptions();
  return attach(controller, async () => becomeProgram('main.ts', controller.args));
}
