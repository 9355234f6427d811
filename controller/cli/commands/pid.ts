/** `nsfleet pid …`: declarations only. */
import { Command } from 'commander';
import type { PidTranslateOptions } from '../pid/translate.ts';
import type { Attach } from '../program.ts';

export function pidCommand(attach: Attach): Command {
  const translate = new Command('translate')
    .description('show a process’s pid in every pid namespace that it is in')
    .argument('<pid>', 'as the host knows it, or with --ns as that namespace does')
    .requiredOption('--host <host>', 'id or name')
    .option('--ns <namespace>', 'pid namespace: number (column ID), key or inode')
    .addHelpText('after', '\nExample:\n  nsfleet pid translate 1 --host web-1 --ns 4711');
  attach(translate, async (session) =>
    (await import('../pid/translate.ts')).translatePid(session, String(translate.args[0]), translate.opts<PidTranslateOptions>()),
  );
  return new Command('pid').description('processes across pid namespaces').addCommand(translate);
}
