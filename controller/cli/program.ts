/** The commands of `nsfleet` as a tree. What a command does is loaded when it runs: the start stays short. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { controllerCommand } from './commands/controller.ts';
import { eventsCommand } from './commands/events.ts';
import { helpCommand } from './commands/help.ts';
import { hostCommand } from './commands/host.ts';
import { mountCommand } from './commands/mount.ts';
import { namespaceCommand } from './commands/namespace.ts';
import { natsCommand } from './commands/nats.ts';
import { pidCommand } from './commands/pid.ts';
import { sandboxCommand } from './commands/sandbox.ts';
import { statusCommand } from './commands/status.ts';
import { printableJson } from '#shared/escape.ts';
import { tellFailure, usage, usageOf } from './failure.ts';
import { addGlobalOptions, sessionOf } from './session.ts';
import type { Session, Terminal } from './session.ts';

/** What a command does: prints, and returns the exit code. */
export type Body = (session: Session) => Promise<number>;

/** Gives a command its body. */
export type Attach = (command: Command, body: Body) => Command;

/** Runs `nsfleet <argv>`; returns the exit code and throws nothing. */
export async function runCli(argv: readonly string[], terminal: Terminal): Promise<number> {
  let exitCode = 0;
  let json = wantsJson(argv);
  let help = '';
  const program = buildProgram(
    terminal,
    (command, body) =>
      command.action(async () => {
        const session = sessionOf(command, terminal);
        json = session.json;
        exitCode = await body(session);
      }),
    (text) => {
      help += text;
    },
  );
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) {
      const value = thrown.code === 'commander.version' ? { version: help.trim() } : { help };
      terminal.stdout.write(json ? `${printableJson(value)}\n` : help);
      return 0;
    }
    // A group without a command: its help, then what is wrong. Who reads JSON reads the error alone.
    if (!json) terminal.stderr.write(help);
    return tellFailure(thrown, terminal.stderr, json);
  }
}

/** The command tree; `attach` decides what running a command means, `say` gets what commander has to say: help and version. */
export function buildProgram(terminal: Terminal, attach: Attach, say: (text: string) => void): Command {
  const program = new Command('nsfleet')
    .description('See and act on every Linux namespace of a fleet of hosts.')
    .version(version(), '-V, --version', 'print the version')
    .helpCommand(false)
    .enablePositionalOptions()
    .addHelpText('after', examples);
  program.addCommand(hostCommand(attach));
  program.addCommand(namespaceCommand(attach));
  program.addCommand(mountCommand(attach));
  program.addCommand(pidCommand(attach));
  program.addCommand(sandboxCommand(attach));
  program.addCommand(statusCommand(attach));
  program.addCommand(eventsCommand(attach));
  program.addCommand(controllerCommand(attach));
  program.addCommand(natsCommand(attach));
  program.addCommand(helpCommand(attach));
  finish(program, 'nsfleet', terminal, say);
  return program;
}

/** What holds for every command of the tree. */
function finish(command: Command, path: string, terminal: Terminal, say: (text: string) => void): void {
  // Options end at the first word: --help after it is that word's, and what follows the command of `run` and `exec` the sandbox's.
  if (command.commands.length > 0) command.enablePositionalOptions();
  addGlobalOptions(command.helpOption(false).helpCommand(false))
    // Every command has options: saying so in every line of a list says nothing.
    .configureHelp({ subcommandTerm: (child) => [[child.name(), ...child.aliases()].join('|'), argumentsText(child)].join(' ').trim() })
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: say,
      writeErr: say,
      // Refusals are told once, by tellFailure.
      outputError: () => undefined,
      getOutHelpWidth: () => terminal.stdout.columns || 100,
      getErrHelpWidth: () => terminal.stderr.columns || 100,
    })
    .exitOverride((refusal) => {
      if (refusal.code === 'commander.help') throw usage(path, 'a command is missing');
      throw refusal.exitCode === 0 ? refusal : usageOf(path, refusal);
    })
    .on('option:help', () => {
      command.outputHelp();
      throw new CommanderError(0, 'commander.helpDisplayed', '');
    });
  for (const child of command.commands) finish(child, `${path} ${child.name()}`, terminal, say);
}

function argumentsText(command: Command): string {
  return command.registeredArguments
    .map((argument) => {
      const name = argument.name() + (argument.variadic ? '...' : '');
      return argument.required ? `<${name}>` : `[${name}]`;
    })
    .join(' ');
}

/** For refusals that come before the options are read. What follows `--` belongs to the sandbox. */
function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end === -1 ? undefined : end).includes('--json');
}

function version(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

const examples = `
Examples:
  nsfleet status                                    what is wrong with the fleet, and how big it is
  nsfleet ns ls --type net,pid                      network and pid namespaces of all hosts
  nsfleet sandbox run --rm -- sh -c 'hostname; id'  run a command in a new sandbox
  nsfleet sandbox exec web-1 -- ps                  run a command in one that runs

\`nsfleet help exit-codes\` lists the exit codes. Scripts: every command takes --json.`;
