/** `nsfleet sandbox exec`: its options and help. */
import { Command, Option } from 'commander';
import type { Attach } from '../program.ts';
import type { ExecOptions } from '../sandbox/exec.ts';
import { collect } from './repeat.ts';

export function execCommand(attach: Attach): Command {
  const exec = new Command('exec')
    .description('run a command in a running sandbox')
    .usage('[options] <sandbox> [--] <command> [arguments...]')
    .argument('<sandbox>', 'name, id, or 4 or more digits of the id')
    .argument('<command...>', 'what to run; nsfleet’s own options stand before the sandbox')
    .passThroughOptions()
    .option('-e, --env <name=value>', 'environment variable; NAME alone takes it from here; may repeat', collect)
    .option('-w, --cwd <directory>', 'working directory inside; default: the sandbox’s')
    .addOption(new Option('--workdir <directory>').hideHelp())
    .option('-u, --user <user[:group]>', 'names of its own passwd and group files, or ids; default: the sandbox’s')
    .option('--group-add <group>', 'further group of --user; may repeat', collect)
    .option('--no-stdin', 'do not read standard input')
    // docker's: input is connected in any case, and -t gets an answer of its own.
    .addOption(new Option('-i, --interactive').hideHelp())
    .addOption(new Option('-t, --tty').hideHelp())
    .addHelpText('after', notes);
  return attach(exec, async (session) => (await import('../sandbox/exec.ts')).execInSandbox(session, exec.args, exec.opts<ExecOptions>()));
}

const notes = `
Standard input is passed on, there is no terminal (-t), output and errors stay apart, the exit code is kept (128 + signal number if a signal ended it).
SIGINT, SIGTERM, SIGHUP and SIGQUIT go to the command; the third of them ends nsfleet itself. With --json each piece of output
is a line {"stream", "text"}, the last line is {"exit"}.

Examples:
  nsfleet sandbox exec web -- ps
  tar c . | nsfleet sandbox exec --cwd /tmp web -- tar x
  nsfleet sandbox exec --user 1000 --env LANG=C web -- sh -c 'id; env'`;
