/** The options for limits, the same for a new sandbox and for one that runs. */
import type { Command } from 'commander';
import { collect } from './repeat.ts';

export function limitFlags(command: Command): Command {
  return command
    .option('-m, --memory <size>', 'above it the kernel kills: 64m, 1g; swap is 0 then, unless --swap')
    .option('--memory-high <size>', 'above it the kernel takes back and slows down')
    .option('--swap <size>', 'beside the memory')
    .option('--cpus <number>', 'processors’ worth of time: 0.5, 2')
    .option('--cpu-weight <1-10000>', 'share where processors are short; 100 is everybody’s')
    .option('--pids-limit <number>', 'processes and threads')
    .option('--io-weight <1-10000>', 'share where a disk is busy')
    .option('--io-max <device,limits>', '254:0,rbps=10m,wiops=100; may repeat', collect);
}
