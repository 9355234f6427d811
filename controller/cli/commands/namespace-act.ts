/** `nsfleet ns create|attach|rm|exec|reap`: declarations only. */
import { Command } from 'commander';
import type { AttachOptions, CreateOptions, RemoveOptions } from '../namespace/act/create.ts';
import type { NamespaceExecOptions } from '../namespace/act/exec.ts';
import type { ReapOptions } from '../namespace/act/reap.ts';
import type { Attach } from '../program.ts';
import { collect } from './repeat.ts';

export function namespaceActionCommands(attach: Attach): Command[] {
  return [create(attach), name(attach), remove(attach), exec(attach), reap(attach)];
}

const acts = () => import('../namespace/act/create.ts');

function create(attach: Attach): Command {
  const command = new Command('create')
    .description('make namespaces and keep them without a process; `ip netns` knows network ones too')
    .requiredOption('--host <host>', 'id or name')
    .requiredOption('--name <name>', 'file name below /run/netns (net) or /run/nsfleet/ns')
    .requiredOption('-t, --type <type>', 'mnt, cgroup, uts, ipc, user, net or time; may repeat, or be a comma-separated list', collect)
    .addHelpText('after', '\nExample:\n  nsfleet ns create --host web-1 --name blue --type net,uts');
  return attach(command, async (session) => (await acts()).createNamespaces(session, command.opts<CreateOptions>()));
}

function name(attach: Attach): Command {
  const command = new Command('attach')
    .description('keep a namespace that is there under a name too, as `ip netns attach`')
    .argument('<namespace>', 'number (column ID), key or inode')
    .requiredOption('--name <name>', 'file name below /run/netns (net) or /run/nsfleet/ns')
    .option('--host <host>', 'where an inode or key exists on several hosts')
    .option('-t, --type <type>', 'where an inode or key exists in several types')
    .addHelpText('after', '\nExample:\n  nsfleet ns attach 4711 --name blue');
  return attach(command, async (session) => (await acts()).attachName(session, String(command.args[0]), command.opts<AttachOptions>()));
}

function remove(attach: Attach): Command {
  const command = new Command('rm')
    .description('take the names of a kept namespace away; it ends when nothing else holds it')
    .argument('<namespace>', 'number (column ID), key or inode')
    .option('--host <host>', 'where an inode or key exists on several hosts')
    .option('-t, --type <type>', 'where an inode or key exists in several types')
    .option('-f, --force', 'also while processes live in it')
    .addHelpText('after', '\nExample:\n  nsfleet ns rm 4711');
  return attach(command, async (session) =>
    (await acts()).removeNamespace(session, String(command.args[0]), command.opts<RemoveOptions>()),
  );
}

function exec(attach: Attach): Command {
  const command = new Command('exec')
    .description('run a program of the host in chosen namespaces, as root; the host’s own policy must allow it')
    .usage('--host <host> [options] [--] <command> [arguments...]')
    .argument('<command...>', 'what to run; nsfleet’s own options stand before it')
    .passThroughOptions()
    .requiredOption('--host <host>', 'id or name')
    .option('--ns <type=namespace>', 'join this one; not named: the host’s own; may repeat', collect)
    .option('-e, --env <name=value>', 'environment variable; NAME alone takes it from here; may repeat', collect)
    .option('-w, --cwd <directory>', 'working directory; default: /')
    .option('--no-stdin', 'do not read standard input')
    .addHelpText('after', execNotes);
  return attach(command, async (session) => {
    const words = command.args[0] === '--' ? command.args.slice(1) : command.args;
    return (await import('../namespace/act/exec.ts')).execInNamespaces(session, words, command.opts<NamespaceExecOptions>());
  });
}

function reap(attach: Attach): Command {
  const command = new Command('reap')
    .description('take away the mounts that hold namespaces in which nothing lives; what is in use is refused')
    .argument('[namespace...]', 'numbers (column ID)')
    .option('--leaks', 'those of all open leaks (`nsfleet ns leaks`)')
    .option('--host <host>', 'with --leaks: of this host only')
    .option('--dry-run', 'say what would be done')
    .addHelpText('after', '\nExamples:\n  nsfleet ns reap --dry-run 4711\n  nsfleet ns reap --leaks --host web-1');
  return attach(command, async (session) =>
    (await import('../namespace/act/reap.ts')).reapNamespaces(session, command.args, command.opts<ReapOptions>()),
  );
}

const execNotes = `
A namespace is host (not joined), pid:<pid>, sandbox:<name>, or a number, key or inode. Types may be joined by commas; all is all eight.
A network namespace without a mount namespace gets its own /sys, as with ip netns. The host's policy must name exec among its actions.

Examples:
  nsfleet ns exec --host web-1 --ns net=4711 -- ss -ltn
  nsfleet ns exec --host web-1 --ns net=4711 --ns mnt=host -- tcpdump -i any
  nsfleet ns exec --host web-1 --ns all=pid:1234 -- ps`;
