/** `nsfleet ns history`, `diff`, `leaks`: declarations only. */
import { Command } from 'commander';
import type { DiffOptions } from '../namespace/diff.ts';
import type { HistoryOptions } from '../namespace/history.ts';
import type { LeakOptions } from '../namespace/leaks.ts';
import type { Attach } from '../program.ts';
import { examples } from './examples.ts';
import { whichNamespace } from './which-namespace.ts';

export function historyCommand(attach: Attach): Command {
  const history = whichNamespace(new Command('history').description('from when to when a namespace was there, and what happened to it'))
    .option('--inode', 'also the namespaces that had the same inode before and after it')
    .addHelpText('after', examples('nsfleet ns history 12', 'nsfleet ns history 4026532177 --host web-1 --type net --inode'));
  return attach(history, async (session) =>
    (await import('../namespace/history.ts')).printHistory(session, String(history.args[0]), history.opts<HistoryOptions>()),
  );
}

export function diffCommand(attach: Attach): Command {
  const diff = new Command('diff')
    .description('what is different between two moments, or between two hosts')
    .argument('[hosts...]', 'two hosts: ids or names; without them two moments are compared')
    .option('--from <time>', 'the earlier moment: 2026-11-20T14:00 (local), 2026-11-20T14:00Z, -2h, "2h ago", yesterday')
    .option('--to <time>', 'the later moment; default: now')
    .option('--at <time>', 'two hosts: as they were then; default: now')
    .option('--host <host>', 'two moments: of this host only')
    .option('-t, --type <type>', 'of this type only')
    .addHelpText('after', diffNotes);
  return attach(diff, async (session) =>
    (await import('../namespace/diff.ts')).diffNamespaces(session, diff.args, diff.opts<DiffOptions>()),
  );
}

const diffNotes = `
Exit code 0: no differences. 1: differences. Others: it could not be found out (\`nsfleet help exit-codes\`).
+ is new, - is gone, ~ changed. Two hosts: - only the left one has it, + only the right one, ~ not as many on both.
${examples('nsfleet ns diff --from -1h --host web-1', 'nsfleet ns diff --from 2026-11-20T14:00 --to 2026-11-20T15:00', 'nsfleet ns diff web-1 web-2 --type net').trimStart()}`;

export function leaksCommand(attach: Attach): Command {
  const leaks = new Command('leaks')
    .description('namespaces that leak or drift, who pins them, and for how long')
    .option('--rule <rule>', 'net-without-process, sandbox-gone, user-growth, host-net-foreign-mnt or unexpected-owner')
    .option('--host <host>', 'of this host only: id or name')
    .option('-a, --all', 'those that were cleared too')
    .option('--filter <expression>', 'those of which this CEL expression is true (docs/filters.md)')
    .addHelpText(
      'after',
      examples(
        'nsfleet ns leaks',
        'nsfleet ns leaks --rule net-without-process --host web-1',
        'nsfleet ns leaks --filter \'age > duration("24h")\'',
      ),
    );
  return attach(leaks, async (session) => (await import('../namespace/leaks.ts')).listLeaks(session, leaks.opts<LeakOptions>()));
}
