/** `nsfleet sandbox …`: the smaller ones; run and exec have files of their own. */
import { Command } from 'commander';
import type { Attach } from '../program.ts';
import type { SandboxListOptions } from '../sandbox/list.ts';
import type { LogsOptions } from '../sandbox/logs.ts';
import type { RemoveOptions } from '../sandbox/remove.ts';
import type { UpdateOptions } from '../sandbox/update.ts';
import type { StopOptions } from '../sandbox/stop.ts';
import { examples } from './examples.ts';
import { limitFlags } from './limit-flags.ts';
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
    .addCommand(statsCommand(attach))
    .addCommand(callsCommand(attach))
    .addCommand(updateCommand(attach))
    .addCommand(pauseCommand(attach))
    .addCommand(resumeCommand(attach))
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
    .option('--state <state>', 'placed, running, paused, stopping, stopped, failed, lost or removed')
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

function statsCommand(attach: Attach): Command {
  const stats = new Command('stats')
    .description('what sandboxes use of their hosts: processor, memory, processes, input and output')
    .argument('[sandbox...]', `${which}; default: all that run`)
    .addHelpText('after', examples('nsfleet sandbox stats', 'nsfleet sandbox stats web-1 --json'));
  return attach(stats, async (session) => (await import('../sandbox/stats.ts')).printStats(session, stats.args));
}

function callsCommand(attach: Attach): Command {
  const calls = new Command('calls')
    .description('which system calls a sandbox run with --seccomp log has made, and the profile that it needs')
    .argument('<sandbox>', which)
    .addHelpText('after', examples('nsfleet sandbox run --seccomp log --name probe -- make test', 'nsfleet sandbox calls probe'));
  return attach(calls, async (session) => (await import('../sandbox/calls.ts')).printCalls(session, String(calls.args[0])));
}

function updateCommand(attach: Attach): Command {
  const update = limitFlags(new Command('update').description('change the limits of sandboxes that run; `none` takes a limit away'))
    .argument('<sandbox...>', which)
    .option('--dry-run', 'print what would be written to the files of its cgroup; change nothing')
    .addHelpText('after', examples('nsfleet sandbox update --memory 256m web-1', 'nsfleet sandbox update --cpus none --dry-run web-1'));
  return attach(update, async (session) =>
    (await import('../sandbox/update.ts')).updateSandboxes(session, update.args, update.opts<UpdateOptions>()),
  );
}

function pauseCommand(attach: Attach): Command {
  const pause = new Command('pause')
    .description('freeze everything that runs in sandboxes')
    .argument('<sandbox...>', which)
    .addHelpText('after', examples('nsfleet sandbox pause web-1'));
  return attach(pause, async (session) => (await import('../sandbox/update.ts')).pauseSandboxes(session, pause.args));
}

function resumeCommand(attach: Attach): Command {
  const resume = new Command('resume')
    .alias('unpause')
    .description('let paused sandboxes run again')
    .argument('<sandbox...>', which)
    .addHelpText('after', examples('nsfleet sandbox resume web-1'));
  return attach(resume, async (session) => (await import('../sandbox/update.ts')).resumeSandboxes(session, resume.args));
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
