/** `nsfleet mount …`: declarations only. */
import { Command } from 'commander';
import type { MountFindOptions } from '../mount/find.ts';
import type { Attach } from '../program.ts';

export function mountCommand(attach: Attach): Command {
  const find = new Command('find')
    .description('find mounts in every mount namespace: who still holds this device or path?')
    .option('--source <source>', 'device or source, as the mount table has it; or major:minor')
    .option('--target <path>', 'mounted there, or below')
    .option('-t, --type <type>', 'file system type; `fuse.` finds all its subtypes')
    .option('--host <host>', 'of this host only: id or name')
    .addHelpText('after', examples);
  attach(find, async (session) => (await import('../mount/find.ts')).findMounts(session, find.opts<MountFindOptions>()));
  return new Command('mount').description('mounts of all hosts, inside every mount namespace').addCommand(find);
}

const examples = `
Examples:
  nsfleet mount find --source /dev/sdb1
  nsfleet mount find --target /var/lib/data --host web-1
  nsfleet mount find -t nfs4 --json`;
