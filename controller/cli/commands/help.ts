/** `nsfleet help [command…]` and `nsfleet help exit-codes`. */
import { Command, CommanderError } from 'commander';
import { examples } from './examples.ts';
import { usage } from '../failure.ts';
import type { Attach } from '../program.ts';

export function helpCommand(attach: Attach): Command {
  const help = new Command('help')
    .description('help for a command; `help exit-codes` lists exit codes')
    .argument('[command...]')
    .addHelpText('after', examples('nsfleet help ns ls', 'nsfleet help exit-codes'));
  return attach(help, async (session) => {
    const [topic] = help.args;
    if (topic === 'exit-codes') {
      (await import('../exit-codes.ts')).printExitCodes(session);
      return 0;
    }
    let at: Command | null = help.parent;
    for (const name of help.args) at = at?.commands.find((child) => child.name() === name || child.aliases().includes(name)) ?? null;
    if (at === null) throw usage('nsfleet help', `there is no command or topic \`${help.args.join(' ')}\``);
    // Ends by throwing, as --help does.
    at.outputHelp();
    throw new CommanderError(0, 'commander.helpDisplayed', '');
  });
}
