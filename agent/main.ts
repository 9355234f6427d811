/** `nsfleet-agent`: run (the default), enroll, doctor, policy check, images, --version, --help. */
import { parseArgs } from 'node:util';
import { NsfleetError, asNsfleetError, errorText } from '#shared/errors.ts';
import { failureText } from '#shared/failure-text.ts';
import { createLog } from '#shared/log.ts';
import { runAgent } from './agent.ts';
import { readAgentPlaces, readAgentPolicy, readAgentSettings } from './config.ts';
import { enroll } from './enroll.ts';
import { runDoctor } from './doctor/command.ts';
import { imagesCommand } from './image/cli.ts';
import { describePolicy } from './policy/describe.ts';
import { agentVersion } from './version.ts';

const help = `nsfleet-agent ${agentVersion}: reports this host's namespaces and runs its sandboxes

usage:
  nsfleet-agent [run]
  nsfleet-agent enroll --api URL --token-file FILE [--id ID] [--name NAME]
  nsfleet-agent doctor [--json]          what this host can give, tried now: what is missing, and what mends it
  nsfleet-agent policy check [FILE]      what it allows; without FILE: what run would take
  nsfleet-agent images ls [--json]       images and archives that were unpacked here
  nsfleet-agent images rm IMAGE...       those that no sandbox uses, by digest or name
  nsfleet-agent images gc [--unused-for 24h]

The policy says what controllers may have on this host, and decides last: /etc/nsfleet/agent.yaml, or for
a plain user agent.yaml in the configuration directory. docs/agent-policy.md lists what it may hold.

The first SIGTERM or SIGINT ends it in order, the second at once. Sandboxes run on; the next start takes them over.

environment of run (what enroll wrote stands in for the first three):
  NATS_URL                     address of the NATS server
  NSFLEET_HOST_ID              this host's id
  NSFLEET_AGENT_CREDENTIALS    NATS credentials file
  NSFLEET_AGENT_STATE          state directory
  NSFLEET_AGENT_POLICY         another policy file
  NSFLEET_AGENT_LABELS         key=value,key=value
  NSFLEET_AGENT_READY          how many sandboxes' namespaces wait ready-made (4; 0: none)
  NSFLEET_AGENT_IMAGE_BYTES    most bytes of one archive's files (34359738368)
  NSFLEET_AGENT_IMAGE_ENTRIES  most entries of one archive (1000000)
  NSFLEET_AGENT_IMAGES_KEEP    bytes of unpacked layers above which unused ones are removed (21474836480)
  NSFLEET_CHANGE_SOURCE        best way to hear of changes: tracefs (default), proc-connector, poll
  NSFLEET_SCAN_INTERVAL_MS     between scans where changes are polled for (1000)
  NSFLEET_FULL_SCAN_INTERVAL_MS  between scans of all holders (60000)
  NSFLEET_BEAT_INTERVAL_MS     between heartbeats (5000)
  NSFLEET_LOG_LEVEL            trace, debug, info, warn, error (info)
  NSFLEET_ALLOW_OLD_NATS       1: accept a NATS server with known holes; for development only

and where the policy file is silent:
  NSFLEET_AGENT_MAX_SANDBOXES  most sandboxes at once (1000)
  NSFLEET_AGENT_ROOTS          /dir:/dir, the only directories below which a sandbox's root may lie
  NSFLEET_AGENT_ACTIONS        what controllers may do here beside sandboxes: exec (run host programs
                               as root), keep, reap (keep,reap)
  NSFLEET_ID_POOL              start:count of uid ranges of 65,536 (1879048192:4095)
`;

async function main(): Promise<void> {
  // It has options of its own.
  if (process.argv[2] === 'images') {
    process.stdout.write(await imagesCommand(process.argv.slice(3), readAgentPlaces(process.env).stateDirectory));
    return;
  }
  const { values, positionals } = readArguments();
  if (values.help === true) process.stdout.write(help);
  else if (values.version === true) process.stdout.write(`${agentVersion}\n`);
  else if (positionals[0] === 'policy') checkPolicy(positionals.slice(1));
  else if (positionals[0] === 'doctor' && positionals.length === 1) process.exit(await runDoctor(values.json === true));
  else if (positionals.length > 1) throw usage(`${positionals[1]} is too much`);
  else if (positionals[0] === 'enroll') await enrollHost(values);
  else if (positionals[0] === undefined || positionals[0] === 'run') await run();
  else throw usage(`there is no command ${positionals[0]}`);
}

async function run(): Promise<void> {
  const settings = readAgentSettings(process.env);
  const ending = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (ending.signal.aborted) process.exit(1);
    ending.abort(new Error(signal));
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  await runAgent(settings, createLog('agent', settings.logLevel), ending.signal);
}

function checkPolicy([verb, file, ...more]: readonly string[]): void {
  if (verb !== 'check' || more.length > 0) throw usage('policy takes `check [FILE]`');
  process.stdout.write(describePolicy(readAgentPolicy(process.env, file)));
}

async function enrollHost(values: ReturnType<typeof readArguments>['values']): Promise<void> {
  const { api, id, name } = values;
  const tokenFile = values['token-file'];
  if (api === undefined || tokenFile === undefined) throw usage('enroll needs --api and --token-file');
  const { hostId, credentials } = await enroll(process.env, { api, tokenFile, id, name });
  process.stdout.write(`enrolled as ${hostId}; credentials in ${credentials}\n`);
}

function readArguments() {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      allowPositionals: true,
      options: { help: { ...flag, short: 'h' }, version: flag, json: flag, api: text, 'token-file': text, id: text, name: text },
    });
  } catch (error) {
    throw usage(errorText(error));
  }
}

function usage(reason: string): NsfleetError {
  return new NsfleetError('USAGE', { attempted: 'run', target: 'nsfleet-agent', reason, remedy: 'see `nsfleet-agent --help`' });
}

main().then(
  // What is done is done: nothing that may still hold the event loop is worth waiting for.
  () => process.exit(0),
  (error: unknown) => {
    const failure = asNsfleetError(error, 'run', 'nsfleet-agent');
    process.stderr.write(failureText(failure, false));
    if (failure.code === 'INTERNAL' && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    process.exit(failure.exitCode);
  },
);
