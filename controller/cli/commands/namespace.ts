/** `nsfleet ns …`: declarations only. Looking at what is; the past is in namespace-past.ts, what changes something in namespace-act.ts. */
import { Command, Option } from 'commander';
import type { NamespaceListOptions } from '../namespace/list.ts';
import type { NamespaceShowOptions, WhichOptions } from '../namespace/show.ts';
import type { Attach } from '../program.ts';
import { diffCommand, historyCommand, leaksCommand } from './namespace-past.ts';
import { examples } from './examples.ts';
import { namespaceActionCommands } from './namespace-act.ts';
import { collect } from './repeat.ts';
import { whichNamespace } from './which-namespace.ts';

export function namespaceCommand(attach: Attach): Command {
  const namespace = new Command('ns')
    .enablePositionalOptions()
    .alias('namespace')
    .description('namespaces of all hosts, as lsns shows those of one')
    .addCommand(listCommand(attach))
    .addCommand(showCommand(attach))
    .addCommand(whyCommand(attach))
    .addCommand(historyCommand(attach))
    .addCommand(diffCommand(attach))
    .addCommand(leaksCommand(attach));
  for (const command of namespaceActionCommands(attach)) namespace.addCommand(command);
  return namespace;
}

function listCommand(attach: Attach): Command {
  const list = new Command('ls')
    .alias('list')
    .description('list namespaces')
    .option('--host <host>', 'of this host only: id or name')
    .option('-t, --type <type>', 'mnt, cgroup, uts, ipc, user, pid, net or time; may repeat, or be a comma-separated list', collect)
    .option('-p, --pid <pid>', 'those that this process lives in; needs --host')
    .option('--sandbox <sandbox>', 'of this sandbox only: id or name')
    .option('--filter <expression>', 'those of which this CEL expression is true (docs/filters.md)')
    .option('-P, --persistent', 'only those without a process')
    .option('--at <time>', 'as it was then: 2026-11-20T14:00 (local), 2026-11-20T14:00Z, 2026-11-20, 14:00, -2h, "2h ago"')
    .option('--live', 'let the hosts scan first; those that do not answer are named on standard error')
    .option('--ended', 'past ones too')
    .option('-T, --tree [relation]', 'draw a tree: owner (default), parent, or process (where its leader came from)')
    .option('-o, --output <columns>', 'comma-separated columns; +COLUMN adds to the usual ones')
    .option('--columns <columns>', 'the same as --output')
    .option('-n, --no-headings', 'no heading line')
    .option('-u, --notruncate', 'do not cut lines to the width of the terminal')
    .addOption(new Option('--noheadings', 'as lsns spells it').hideHelp())
    .addOption(new Option('--fresh', 'what --live was called').hideHelp())
    .addOption(new Option('--task <pid>', 'as lsns spells it').hideHelp())
    .addHelpText('after', listNotes);
  return attach(list, async (session) => {
    const { fresh, task, ...options } = list.opts<NamespaceListOptions & { fresh?: boolean; task?: string }>();
    const spelled = { ...options, ...(fresh === true ? { live: true } : {}), ...(task === undefined ? {} : { pid: task }) };
    return (await import('../namespace/list.ts')).listNamespaces(session, spelled);
  });
}

function showCommand(attach: Attach): Command {
  const show = whichNamespace(
    new Command('show').description('show one namespace: its names, what it is like inside, and all that holds it'),
  )
    .option('-a, --all', 'all holders and id map lines, where there are many')
    .addHelpText('after', examples('nsfleet ns show 12', 'nsfleet ns show 4026532177 --host web-1 --type net', 'nsfleet ns show 12 --all'));
  return attach(show, async (session) =>
    (await import('../namespace/show.ts')).showNamespace(session, String(show.args[0]), show.opts<NamespaceShowOptions>()),
  );
}

function whyCommand(attach: Attach): Command {
  const why = whichNamespace(
    new Command('why').description('tell in sentences why a namespace is alive, and what would end it'),
  ).addHelpText('after', examples('nsfleet ns why 12', 'nsfleet ns why 4026532177 --host web-1 --type net'));
  return attach(why, async (session) =>
    (await import('../namespace/why.ts')).tellWhy(session, String(why.args[0]), why.opts<WhichOptions>()),
  );
}

const listNotes = `
Columns: ID NS TYPE NPROCS HOLDERS PID UID HOST NAME NAMES CALLED SANDBOX COMMAND COMM HOSTNAME DETAIL KEY PARENT OWNER OWNER-UID
         BOOT AGE FIRST-SEEN LAST-SEEN CURRENT PARTIAL
Usual:   ID NS TYPE NPROCS PID UID HOST COMMAND, and where a row has something to say there HOLDERS, NAME, SANDBOX, LAST-SEEN;
         on a narrow terminal CALLED, which is the name or else the command, instead of NAME and COMMAND

Examples:
  nsfleet ns ls --host web-1 --type net
  nsfleet ns ls --filter 'type == "net" && processes == 0 && age > duration("10m")'
  nsfleet ns ls --host web-1 --pid 4711 -o NS,TYPE,NAME
  nsfleet ns ls --tree owner
  nsfleet ns ls --at 2026-11-20T14:00 --type net
  nsfleet ns ls --ended -o +AGE`;
