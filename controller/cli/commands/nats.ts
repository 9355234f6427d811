/** `nsfleet nats …`: declarations only. */
import { Command } from 'commander';
import type { Attach } from '../program.ts';
import { examples } from './examples.ts';
import { becomeProgram } from './program-file.ts';

export function natsCommand(attach: Attach): Command {
  const nats = new Command('nats').description('the NATS server that carries the fleet’s messages');
  const config = new Command('config')
    .description(
      'print the configuration that a nats-server of your own must load (NATS_URL); makes the operator’s and account’s keys if there are none',
    )
    .addHelpText('after', examples('nsfleet nats config > nats.conf && nats-server -c nats.conf'));
  attach(config, async ({ json }) => becomeProgram('credentials/print-config.ts', json ? ['--json'] : []));
  return nats.addCommand(config);
}
