/** `nsfleet sandbox run`: its options and help. */
import { Command, Option } from 'commander';
import type { Attach } from '../program.ts';
import type { RunOptions } from '../sandbox/request.ts';
import { limitFlags } from './limit-flags.ts';
import { collect } from './repeat.ts';

export function runCommand(attach: Attach): Command {
  const run = limitFlags(new Command('run'))
    .description('run a command in a new sandbox')
    .usage('[options] [--] <command> [arguments...]')
    .argument('[command...]', 'what to run; nsfleet’s own options stand before it; an image may have one of its own')
    .passThroughOptions()
    .option('--name <name>', 'default: two words and four digits')
    .option('--hostname <hostname>', 'default: the name')
    .option('-l, --label <key=value>', 'label; may repeat', collect)
    .option('--constraint <expression>', 'CEL over `host`: where it may run')
    .option('--rm', 'remove it when it has ended')
    .option('-d, --detach', 'print its id as soon as it runs, and leave it running')
    .option('--dry-run', 'print where it would run and the plan; make nothing')
    .option('-e, --env <name=value>', 'environment variable; NAME alone takes it from here; may repeat', collect)
    .option('-w, --cwd <directory>', 'working directory inside; default: /')
    .option('-u, --user <user[:group]>', 'names of the root’s passwd and group files, or ids; default: 0:0, which is nobody outside')
    .option('--group-add <group>', 'further group; may repeat', collect)
    .option('--cap-add <capability>', 'NET_BIND_SERVICE …, over its own namespaces only; default: none; may repeat', collect)
    .option('--ulimit <name=soft[:hard]>', 'rlimit: nofile=1024:4096, core=unlimited; may repeat', collect)
    .option('--allow-degraded', 'run also where the host cannot give all of it; `sandbox show` lists what it runs without')
    .option('--umask <octal>', 'default: 022')
    .option('--nice <number>', '-20 to 19; default: 0')
    .option('--oom-score-adj <number>', '-1000 to 1000; default: 0')
    .option(
      '--root <root>',
      '`host` (its /usr, read-only), a directory on the host, tar:ARCHIVE, or an image, oci:PATH[:NAME]; default: host',
    )
    .option('--platform <os/architecture>', 'of the image; default: the host’s')
    .option('--entrypoint <program>', 'in place of the image’s own, and of its command')
    .option('--read-only', 'no writable layer over the root directory')
    .option('--root-size <size>', 'keep changes in memory, at most so much: 64m, 1g; default: on the host’s disk')
    .option('-v, --volume <source:target[:options]>', 'mount a directory or file that the host allows; ro, rw, noexec; may repeat', collect)
    .option('--mount <key=value,...>', 'the same in docker’s long form, also type=tmpfs; may repeat', collect)
    .option('--tmpfs <target[:options]>', 'empty directory in memory: size=64m, mode=1777, exec; may repeat', collect)
    .option('--landlock-ro <path>', 'inside: may be read and executed; closes all paths that are not named; may repeat', collect)
    .option('--landlock-rw <path>', 'inside: may be changed too; may repeat', collect)
    .option('--landlock-bind <port>', 'TCP port to listen on; closes the others; `none` closes all; may repeat', collect)
    .option('--landlock-connect <port>', 'TCP port to connect to; likewise; may repeat', collect)
    .option('--seccomp <profile>', 'which system calls it may make: strict, container, none, log; default: strict')
    .option('--network <which>', 'network namespace: new, host, sandbox:NAME, pid:N, path:FILE, id:N; default: new')
    .addOption(new Option('--net <which>').hideHelp())
    .option('--pid <which>', 'pid namespace, likewise')
    .option('--ipc <which>', 'IPC namespace: System V and POSIX queues')
    .option('--uts <which>', 'UTS namespace: hostname and domain name')
    .option('--userns <which>', 'user namespace')
    .option('--cgroupns <which>', 'cgroup namespace')
    .option('--mntns <which>', 'mount namespace, which brings its root')
    .option('--timens <which>', 'time namespace')
    .option('--domainname <name>', 'NIS domain name; default: none')
    .option('--uidmap <inside:outside:count>', 'ids of the host instead of an own range; may repeat', collect)
    .option('--gidmap <inside:outside:count>', 'the same for groups; default: as --uidmap', collect)
    .option('--time-offset <clock=duration>', 'monotonic=… or boottime=… of its own clocks; may repeat', collect)
    .option('--ttl <duration>', 'end it so long after its start, whoever is still there: 30s, 10m, 2h')
    .option('--idle <duration>', 'end it when it wrote nothing, and nothing was executed in it, for so long')
    .option('--deadline <moment>', 'end it then: 2026-11-24T10:00, or 2h from now as +2h')
    .option('--stop-signal <signal>', 'default: TERM')
    .addOption(new Option('-i, --interactive').hideHelp())
    .addOption(new Option('-t, --tty').hideHelp())
    .option('--stop-grace <duration>', 'time between stop signal and kill: 10s, 500ms, 2m; default: 10s')
    .addHelpText('after', notes);
  return attach(run, async (session) => (await import('../sandbox/run.ts')).runSandbox(session, run.args, run.opts<RunOptions>()));
}

const notes = `
In the foreground the command's output is printed and its exit code kept (128 + signal number if a signal ended it). Its standard
input is empty: \`sandbox exec\` connects one. Ctrl-C and SIGTERM stop the sandbox; a second one kills it, a third one ends nsfleet
itself. A terminal that is closed (SIGHUP) or a reader that goes away (\`… | head\`) stops it too and ends nsfleet within 3 s, with
129 or 141. --rm removes the sandbox in each of these cases; only an nsfleet that is killed (SIGKILL) or ended by a third signal
leaves it behind: \`nsfleet sandbox rm -f\`. With --json the output goes to standard error, the sandbox to standard output.

Each host's own policy says which of its namespaces a sandbox may share and what may be joined: \`host\`, pid:, path: and id: nothing
by default. pid:, path: and id: need a --constraint that says on which host; sandbox:NAME runs where that one does. A pid or mount
namespace is joined together with the user namespace that owns it: --pid sandbox:web --userns sandbox:web.

Examples:
  nsfleet sandbox run --rm -- sh -c 'hostname; id; ls /proc'
  nsfleet sandbox run -d --name web --label app=web --constraint 'host.labels.zone == "a"' -- python3 -m http.server
  nsfleet sandbox run --root /srv/roots/alpine --user 1000:1000 -w /tmp -- /bin/sh -c 'touch x'
  nsfleet sandbox run --root oci:/srv/images/web.tar:1.4 --root-size 256m
  nsfleet sandbox run -v /srv/data:/data:ro --tmpfs /scratch:size=256m -- ls /data
  nsfleet sandbox run --network sandbox:web -- ss -ltn
  nsfleet sandbox run --time-offset boottime=240h -- uptime
  nsfleet sandbox run --dry-run -- true`;
