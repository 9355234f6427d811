/** `nsfleet host …`: declarations only. */
import { Command } from 'commander';
import type { HostListOptions } from '../host/list.ts';
import type { TimelineOptions } from '../host/timeline.ts';
import type { Attach } from '../program.ts';
import { examples } from './examples.ts';
import { collect } from './repeat.ts';

export function hostCommand(attach: Attach): Command {
  return new Command('host')
    .description('hosts that run an agent')
    .addCommand(listCommand(attach))
    .addCommand(showCommand(attach))
    .addCommand(doctorCommand(attach))
    .addCommand(timelineCommand(attach));
}

function listCommand(attach: Attach): Command {
  const list = new Command('ls')
    .alias('list')
    .description('list hosts')
    .option('--filter <expression>', 'those of which this CEL expression is true (docs/filters.md)')
    .option('-o, --output <columns>', 'comma-separated columns; +COLUMN adds to the usual ones')
    .option('--columns <columns>', 'the same as --output')
    .option('-n, --no-headings', 'no heading line')
    .addHelpText('after', listNotes);
  return attach(list, async (session) => (await import('../host/list.ts')).listHosts(session, list.opts<HostListOptions>()));
}

function showCommand(attach: Attach): Command {
  const show = new Command('show')
    .description('show one host: how it is scanned, how changes are heard, what could not be seen')
    .argument('<host>', 'id or name')
    .addHelpText('after', examples('nsfleet host show web-1', 'nsfleet host show web-1 --json'));
  return attach(show, async (session) => (await import('../host/show.ts')).showHost(session, String(show.args[0])));
}

function doctorCommand(attach: Attach): Command {
  const doctor = new Command('doctor')
    .description('what a host can give, tried now: what is missing, and what mends it; exit code 1 where something is')
    .argument('<host>', 'id or name')
    .addHelpText('after', examples('nsfleet host doctor web-1', 'nsfleet host doctor web-1 --json'));
  return attach(doctor, async (session) => (await import('../host/doctor.ts')).printDoctor(session, String(doctor.args[0])));
}

function timelineCommand(attach: Attach): Command {
  const timeline = new Command('timeline')
    .description('what happened on a host, oldest first')
    .argument('<host>', 'id or name')
    .option('--since <time>', 'from then on: 2026-11-20T14:00 (local), 2026-11-20T14:00Z, -2h, "2h ago", yesterday; default: -24h')
    .option('--until <time>', 'before then; default: now')
    .option(
      '-t, --type <type>',
      'of this type: namespace.gone, or a beginning: namespace.; may repeat, or be a comma-separated list',
      collect,
    )
    .option('--filter <expression>', 'those of which this CEL expression is true (docs/filters.md)')
    .addHelpText(
      'after',
      examples('nsfleet host timeline web-1 --since -1h', 'nsfleet host timeline web-1 --since 2026-11-20 --type namespace.gone'),
    );
  return attach(timeline, async (session) =>
    (await import('../host/timeline.ts')).printTimeline(session, String(timeline.args[0]), timeline.opts<TimelineOptions>()),
  );
}

const listNotes = `
Columns: ID NAME STATUS SANDBOXES NAMESPACES SCAN CHANGES HIDDEN PARTIAL CPUS MEMORY KERNEL AGENT BOOT HEARD REPORTED LABELS
HIDDEN: what the last scan could not look into; \`nsfleet host show\` counts it by reason.

Examples:
  nsfleet host ls
  nsfleet host ls --filter 'partial && status == "ready"'
  nsfleet host ls -o NAME,SCAN,CHANGES,CPUS,MEMORY`;
