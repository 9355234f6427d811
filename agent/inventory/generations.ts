/**
 * Keeps the generations of generation-rule.ts over a restart of the agent on kernels without namespace ids: counting anew from 0 would give a
 * new namespace the key of one that has ended. Another boot starts from nothing: its keys are other keys.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { readIfThere, writeDurably } from '../durable-file.ts';
import type { Generations } from './generation-rule.ts';

const File = z.object({
  bootId: z.string(),
  generations: z.array(z.tuple([z.int().nonnegative(), z.int().nonnegative(), z.boolean(), z.array(z.string())])),
});

/** Of the holders of a namespace so many are written: if one of them is there when the agent starts again, it is the same namespace. */
const witnessesMax = 8;

export type GenerationStore = {
  readonly current: Generations;
  /** Of a namespace that no scan may have seen yet. */
  of(inode: number): number;
  /** Written only when a generation changed, an inode is new, or none of the holders that were written is there any more: not for every scan. */
  keep(next: Generations): Promise<void>;
};

/** A damaged file counts as none. */
export async function openGenerations(stateDirectory: string, bootId: string): Promise<GenerationStore> {
  const path = join(stateDirectory, 'generations.json');
  let current = parse((await readIfThere(path))?.toString('utf8'), bootId);
  let written = current;
  return {
    get current() {
      return current;
    },
    of(inode) {
      const seen = current.get(inode);
      if (seen === undefined) return 0;
      return seen.present ? seen.generation : seen.generation + 1;
    },
    async keep(next) {
      current = next;
      if (serves(written, next)) return;
      written = new Map([...next].map(([inode, seen]) => [inode, { ...seen, holders: new Set([...seen.holders].slice(0, witnessesMax)) }]));
      const generations = [...written].map(([inode, { generation, present, holders }]) => [inode, generation, present, [...holders]]);
      await writeDurably(path, JSON.stringify({ bootId, generations }));
    },
  };
}

function parse(text: string | undefined, bootId: string): Generations {
  if (text === undefined) return new Map();
  try {
    const file = File.parse(JSON.parse(text));
    if (file.bootId !== bootId) return new Map();
    return new Map(
      file.generations.map(([inode, generation, present, holders]) => [inode, { generation, present, holders: new Set(holders) }]),
    );
  } catch {
    return new Map();
  }
}

/** Whether what was written tells of NEXT as well. */
function serves(written: Generations, next: Generations): boolean {
  if (written === next) return true;
  if (written.size !== next.size) return false;
  for (const [inode, { generation, present, holders }] of next) {
    const old = written.get(inode);
    if (old === undefined || old.generation !== generation || old.present !== present) return false;
    if (present && holders.size > 0 && ![...old.holders].some((holder) => holders.has(holder))) return false;
  }
  return true;
}
