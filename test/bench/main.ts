/**
 * `npm run bench` (`-- --short`: fewer rounds, for CI; `-- --long`: also 20,000 processes; `-- scan`, `-- live`: that part only; `-- history`: the past at
 * size). Prints what
 * it measured and on what; judges nothing: a shared machine's single times mean little, ratios of one run more.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { benchCreate } from './create.ts';
import { benchHistory } from './history.ts';
import { benchIngest } from './ingest.ts';
import { benchLive } from './live.ts';
import { benchScan } from './scan.ts';

const hybrid = '/sys/fs/cgroup/unified';
const marker = 'NSFLEET_BENCH_NAMESPACE';

/**
 * crun refuses a hybrid cgroup layout, which this machine may have: then everything is measured in a mount namespace where only the
 * v2 hierarchy is to be seen. Returns false when that was done, by a child of this process.
 */
function inOwnNamespace(args: readonly string[]): boolean {
  if (!existsSync(hybrid) || process.geteuid?.() !== 0 || process.env[marker] !== undefined) return true;
  const again = `mount --bind ${hybrid} /sys/fs/cgroup && exec "$@"`;
  const command = [
    '--mount',
    '--propagation',
    'private',
    'sh',
    '-c',
    again,
    'sh',
    process.execPath,
    fileURLToPath(import.meta.url),
    ...args,
  ];
  const { status } = spawnSync('unshare', command, { stdio: 'inherit', env: { ...process.env, [marker]: '1' } });
  process.exitCode = status ?? 1;
  return false;
}

async function scan(short: boolean, long: boolean): Promise<void> {
  await benchScan(short ? [100, 1000] : [100, 1000, 5000, ...(long ? [20_000] : [])], short ? 3 : 15);
}

const args = process.argv.slice(2);
if (inOwnNamespace(args)) {
  const short = args.includes('--short');
  const model = /^model name\s*: (.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? process.arch;
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  console.log(`${cpus().length} × ${model}, ${memory}, Linux ${release()}, Node ${process.version}, load ${loadavg()[0]?.toFixed(2)}\n`);
  if (args[0] === 'history') {
    const rows = Number(/^--rows[= ]([0-9]+)$/.exec(args.slice(1, 3).join(' '))?.[1] ?? 10_000_000);
    await benchHistory(short ? 100_000 : rows);
  } else if (args[0] === 'ingest') {
    await benchIngest({ ...(short ? { hosts: 50, minutes: 4 } : { hosts: 1000, minutes: 8 }), nats: args.includes('--nats') });
  } else if (args[0] === 'live') {
    await benchLive(short ? 30 : 200, short ? 10 : 300);
  } else if (args[0] === 'scan') {
    await scan(short, args.includes('--long'));
  } else {
    await benchCreate(short ? 5 : 100);
    await scan(short, args.includes('--long'));
    await benchLive(short ? 30 : 200, short ? 10 : 300);
  }
}
