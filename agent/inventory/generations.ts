/**
 * Keeps the generations of model.ts over a restart of the agent on kernels without namespace ids: counting anew from 0 would give a
 * new namespace the key of one that has ended. Another boot starts from nothing: its keys are other keys.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { readIfThere, writeDurably } from '../durable-file.ts';
import type { Generations } from './model.ts';

const File = z.object({
  bootId: z.string(),
  generations: z.array(z.tuple([z.int().nonnegative(), z.int().nonnegative(), z.boolean()])),
});

export type GenerationStore = {
  readonly current: Generations;
  /** Of a namespace that no scan may have seen yet. */
  of(inode: number): number;
  /** Written only when a generation changed or an inode is new: not for every scan. */
  keep(next: Generations): Promise<void>;
};

/** A damaged file counts as none. */
export async function openGenerations(stateDirectory: string, bootId: string): Promise<GenerationStore> {
  const path = join(stateDirectory, 'generations.json');
  let current = parse((await readIfThere(path))?.toString('utf8'), bootId);
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
      const before = current;
      current = next;
      if (same(before, next)) return;
      const generations = [...next].map(([inode, { generation, present }]) => [inode, generation, present]);
      await writeDurably(path, JSON.stringify({ bootId, generations }));
    },
  };
}

function parse(text: string | undefined, bootId: string): Generations {
  if (text === undefined) return new Map();
  try {
    const file = File.parse(JSON.parse(text));
    if (file.bootId !== bootId) return new Map();
    return new Map(file.generations.map(([inode, generation, present]) => [inode, { generation, present }]));
  } catch {
    return new Map();
  }
}

function same(a: Generations, b: Generations): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  for (const [inode, seen] of b) {
    const old = a.get(inode);
    if (old?.generation !== seen.generation || old.present !== seen.present) return false;
  }
  return true;
}
