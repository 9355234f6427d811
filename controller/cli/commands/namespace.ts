/** `nsfleet ns …`: declarations only. */
import { Command, Option } from 'commander';
import type { NamespaceListOptions } from '../namespace/list.ts';
import type { NamespaceShowOptions } from '../namespace/show.ts';
import type { Attach } from '../program.ts';
import { collect } from './repeat.ts';

export function namespaceCommand(attach: Attach): Command {
  const namespace = new Command('ns').alias('namespace').description('namespaces of all hosts, as lsns shows those of one');
  const list = new Command('ls')
    .alias('list')
    .description('list namespaces')
    .option('--host <host>', 'of this host only: id or name')
    .option('-t, --type <type>', 'mnt, cgroup, uts, ipc, user, pid, net or time; may repeat, or be a comma-separated list', collect)
    .option('--sandbox <sandbox>', 'of this sandbox only: id or name')
    .option('--ended', 'past ones too')
    .option('--fresh', 'let the hosts scan first')
    .option('-o, --output <columns>', 'comma-separated columns; +COLUMN adds to the usual ones')
    .option('-n, --no-headings', 'no heading line')
    .addOption(new Option('--noheadings', 'as lsns spells it').hideHelp())
    .addHelpText('after', listNotes);
  attach(list, async (session) => (await import('../namespace/list.ts')).listNamespaces(session, list.opts<NamespaceListOptions>()));

  const show = new Command('show')
    .description('show one namespace and what holds it')
    .argument('<namespace>', 'number (column ID), key (id:…, ino:…) or inode (column NS)')
    .option('--host <host>', 'where an inode or key exists on several hosts')
    .option('-t, --type <type>', 'where an inode or key exists in several types');
  attach(show, async (session) =>
    (await import('../namespace/show.ts')).showNamespace(session, String(show.args[0]), show.opts<NamespaceShowOptions>()),
  );
  return namespace.addCommand(list).addCommand(show);
}

const listNotes = `
Columns: ID NS TYPE NPROCS PID UID HOST SANDBOX COMMAND COMM KEY PARENT OWNER OWNER-UID BOOT FIRST-SEEN LAST-SEEN CURRENT

Examples:
  nsfleet ns ls --host web-1 --type net
  nsfleet ns ls -n -o NS,TYPE,PID
  nsfleet ns ls --ended -o +LAST-SEEN`;
