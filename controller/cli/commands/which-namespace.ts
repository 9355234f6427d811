/** How commands name one namespace. */
import type { Command } from 'commander';

/** Adds the argument, and the options for where it means several. */
export function whichNamespace(command: Command): Command {
  return command
    .argument('<namespace>', 'number (column ID), key (id:…, ino:…) or inode (column NS)')
    .option('--host <host>', 'where an inode or key exists on several hosts')
    .option('-t, --type <type>', 'where an inode or key exists in several types');
}
