/** `nsfleet controller`: runs a controller in the foreground, as production does. */
import { Command } from 'commander';
import { controllerSettings } from '../controller-help.ts';
import type { Attach } from '../program.ts';
import { examples } from './examples.ts';
import { becomeProgram } from './program-file.ts';

export function controllerCommand(attach: Attach): Command {
  const controller = new Command('controller')
    .description('run a controller in the foreground; its settings come from the environment')
    .addHelpText('after', controllerSettings.trimEnd())
    .addHelpText('after', examples('DATABASE_URL=postgres://… NATS_URL=nats://nats.example:4222 nsfleet controller'));
  return attach(controller, async ({ json }) => becomeProgram('main.ts', json ? ['--json'] : []));
}
