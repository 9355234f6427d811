/** `nsfleet sandbox …`: the smaller ones; run and exec have files of their own. */
import { Command } from 'commander';
import type { Attach } from '../program.ts';
import type { SandboxListOptions } from '../sandbox/list.ts';
import type { LogsOptions } from '../sandbox/logs.ts';
import type { RemoveOptions } from '../sandbox/remove.ts';
import type { StopOptions } from '../sandbox/stop.ts';
import { examples } from './examples.ts';
import { collect } from './repeat.ts';
import { execCommand } from './sandbox-exec.ts';
import { runCommand } from './sandbox-run.ts';

const which = 'name, id, or 4 or more digits of the id';

export function sandboxCommand(attach: Attach): Command {
  return new Command('sandbox')
    .enablePositionalOptions()
    .description('sandboxes: run, watch, enter and end them')
    .addCommand(runCommand(attach))
    .addCommand(listCommand(attach))
    .addCommand(showCommand(attach))
    .addCommand(execCommand(attach))
    .addCommand(logsCommand(attach))
    .addCommand(stopCommand(attach))
    .addCommand(removeCommand(attach));
}

function listCommand(attach: Attach): Command {
  const list = new Command('ls')
    .alias('list')
    .description('list sandboxes, newest first')
    .option('-a, --all', 'ended ones too (removed ones: --state removed)')
    .option('--host <host>', 'on this host: id or name')
    .option('--label <label>', 'with this label: key or key=value; may repeat', collect)
    .option('--state <state>', 'placed, running, stopping, stopped, failed, lost or removed')
    .option('--filter <expression>', 'those of which this CEL expression is true (docs/filters.md)')
    .option('-q, --quiet', 'ids only')
    .addHelpText('after', examples('nsfleet sandbox ls --all', `nsfleet sandbox ls --filter 'state == "running" && age > duration("1h")'`));
  return attach(list, async (session) => (await import('../sandbox/list.ts')).listSandboxes(session, list.opts<SandboxListOptions>()));
}

function showCommand(attach: Attach): Command {
  const show = new Command('show')
    .description('show one sandbox')
    .argument('<sandbox>', which)
    .addHelpText('after', examples('nsfleet sandbox show web-1', 'nsfleet sandbox show web-1 --json'));
  return attach(show, async (session) => (await import('../sandbox/show.ts')).showSandbox(session, String(show.args[0])));
}

function logsCommand(attach: Attach): Command {
  const logs = new Command('logs')
    .description('print what its command wrote')
    .argument('<sandbox>', which)
    .option('-f, --follow', 'go on until it ends')
    .addHelpText('after', examples('nsfleet sandbox logs web-1', 'nsfleet sandbox logs -f web-1'));
  return attach(logs, async (session) =>
    (await import('../sandbox/logs.ts')).printLogs(session, String(logs.args[0]), logs.opts<LogsOptions>()),
  );
}

function stopCommand(attach: Attach): Command {
  const stop = new Command('stop')
    .description('send the stop signal, wait, then kill')
    .argument('<sandbox...>', which)
    .option('-s, --signal <signal>', 'stop signal instead of the sandbox’s own: TERM, SIGINT, 15 …')
    .option('-g, --grace <duration>', 'time before it is killed: 10s, 500ms, 2m; a bare number is seconds')
    .addHelpText('after', examples('nsfleet sandbox stop web-1', 'nsfleet sandbox stop --grace 30s web-1 web-2'));
  return attach(stop, async (session) => (await import('../sandbox/stop.ts')).stopSandboxes(session, stop.args, stop.opts<StopOptions>()));
}

function removeCommand(attach: Attach): Command {
  const remove = new Command('rm')
    .alias('remove')
    .description('remove ended sandboxes')
    .argument('<sandbox...>', which)
    .option('-f, --force', 'running ones too: they are killed')
    .addHelpText('after', examples('nsfleet sandbox rm web-1', 'nsfleet sandbox rm --force web-1 web-2'));
  return attach(remove, async (session) =>
    (await import('../sandbox/remove.ts')).removeSandboxes(session, remove.args, remove.opts<RemoveOptions>()),
  );
}
