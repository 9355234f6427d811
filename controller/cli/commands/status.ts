/** `nsfleet status`: declaration only. */
import { Command } from 'commander';
import type { Attach } from '../program.ts';
import { examples } from './examples.ts';

export function statusCommand(attach: Attach): Command {
  const status = new Command('status')
    .description('what is wrong with the fleet, and how big it is')
    .addHelpText(
      'after',
      `\nExit code 0: all is well. 1: there are problems, printed first. 5: no controller answers.\n${examples('nsfleet status', 'nsfleet status --json')}`,
    );
  return attach(status, async (session) => (await import('../fleet/status.ts')).printStatus(session));
}
