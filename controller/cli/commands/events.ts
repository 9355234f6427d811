/** `nsfleet events`: declaration only. */
import { Command } from 'commander';
import type { EventOptions } from '../fleet/events.ts';
import type { Attach } from '../program.ts';
import { examples } from './examples.ts';
import { collect } from './repeat.ts';

export function eventsCommand(attach: Attach): Command {
  const events = new Command('events')
    .description('what happened in the fleet, oldest first')
    .option(
      '--since <number|time>',
      'events after this number (column SEQ), or of this time and later: 2026-11-20T14:00, 10m; default: all, with --follow those from now on',
    )
    .option('-f, --follow', 'go on with new ones; with --json a line each. Where the connection breaks, it goes on where it broke')
    .option(
      '-t, --type <type>',
      'of this type: namespace.gone, or a beginning: namespace.; may repeat, or be a comma-separated list',
      collect,
    )
    .option('--host <host>', 'of this host only: id or name')
    .option('--sandbox <sandbox>', 'of this sandbox only: id or name')
    .option('--ns <namespace>', 'of this namespace only: number (column ID)')
    .option('--filter <expression>', 'those of which this CEL expression is true (docs/filters.md)')
    .addHelpText(
      'after',
      examples(
        'nsfleet events --type leak.',
        'nsfleet events --follow --host web-1',
        'nsfleet events --since 10m --type namespace.',
        'nsfleet events --follow --since 4711 --json',
        `nsfleet events --filter 'type == "namespace.gone" && detail.type == "net"'`,
      ),
    );
  return attach(events, async (session) => (await import('../fleet/events.ts')).printEvents(session, events.opts<EventOptions>()));
}
