/** `nsfleet events`: declaration only. */
import { Command } from 'commander';
import type { EventOptions } from '../fleet/events.ts';
import type { Attach } from '../program.ts';

export function eventsCommand(attach: Attach): Command {
  const events = new Command('events')
    .description('what happened in the fleet, oldest first')
    .option('--since <number>', 'events after this number (column SEQ); default: all')
    .option('-f, --follow', 'go on with new ones; with --json a line each');
  return attach(events, async (session) => (await import('../fleet/events.ts')).printEvents(session, events.opts<EventOptions>()));
}
