/** What a command works with: the terminal it was started on and the options that every command has. */
import type { EventEmitter } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import type { Command } from 'commander';
import { Option } from 'commander';
import type { Environment } from '#shared/config.ts';

export type Output = Writable & { isTTY?: boolean; columns?: number };

/** The outside world of one run of the CLI. Tests give their own. */
export type Terminal = {
  readonly stdin: Readable;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Environment;
  readonly now: () => Date;
  /** Where signals to this process are heard. */
  readonly signals: SignalSource;
  readonly reader: Reader;
};

/** Tells that standard output or error broke, with the exit code for it. Where nobody listens the process ends at once. */
export type Reader = EventEmitter<{ gone: [exitCode: number] }>;

export type SignalSource = {
  on(signal: NodeJS.Signals, listener: () => void): unknown;
  off(signal: NodeJS.Signals, listener: () => void): unknown;
};

type GlobalOptions = { api?: string; tokenFile?: string; json?: boolean; color?: boolean };

export type Session = Terminal & {
  readonly json: boolean;
  readonly color: boolean;
  /** --api or NSFLEET_API */
  readonly api: string | undefined;
  /** --token-file or NSFLEET_TOKEN_FILE */
  readonly tokenFile: string | undefined;
};

/** Adds the options that stand on every command, so that they may be written before or after its name. */
export function addGlobalOptions(command: Command): Command {
  const group = 'Options of every command:';
  return command
    .addOption(new Option('--api <url>', 'address of a controller (NSFLEET_API); default: the running stack').helpGroup(group))
    .addOption(new Option('--token-file <file>', 'file that holds its API token (NSFLEET_TOKEN_FILE)').helpGroup(group))
    .addOption(new Option('--json', 'print JSON: the API’s resources').helpGroup(group))
    .addOption(new Option('--no-color', 'no colours (NO_COLOR)').helpGroup(group))
    .addOption(new Option('-h, --help', 'show help').helpGroup(group));
}

/** The session of a command; where an option is given twice, the one nearest to the command counts. */
export function sessionOf(command: Command, terminal: Terminal): Session {
  const given = <K extends keyof GlobalOptions>(name: K): GlobalOptions[K] => {
    for (let at: Command | null = command; at !== null; at = at.parent) {
      if (at.getOptionValueSource(name) === 'cli') return at.opts<GlobalOptions>()[name];
    }
    return undefined;
  };
  const { env, stdout } = terminal;
  return {
    ...terminal,
    json: given('json') ?? false,
    color: (given('color') ?? true) && stdout.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb',
    api: given('api') ?? nonEmpty(env['NSFLEET_API']),
    tokenFile: given('tokenFile') ?? nonEmpty(env['NSFLEET_TOKEN_FILE']),
  };
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
