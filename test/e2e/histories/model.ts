/** What a history must have made of its namespaces: who is where and holds what. Pure; says nothing of namespaces that are not the history's own. */

export type Space = { type: string; key: string; owner: Space | null };

export type Actor = {
  pid: number;
  /** By type; absent where it is in its parent's. For `time` of its children. */
  in: Map<string, Space>;
  /** By descriptor. */
  open: Map<number, Space>;
  /** Where it is: it began in its process's, which may have moved since. */
  thread: { tid: number; in: Map<string, Space> } | null;
  /** Made a user namespace of its own: what is outside is out of reach. */
  confined: boolean;
};

export type Model = {
  actors: Map<number, Actor>;
  mounts: Map<string, Space>;
  /** All that were ever made. */
  spaces: Space[];
};

export const emptyModel = (): Model => ({ actors: new Map(), mounts: new Map(), spaces: [] });

/** Sorted lines, one for each namespace that is there: its count of processes and its holders; and the keys of those that have ended. */
export type Picture = { alive: Record<string, string[]>; ended: string[] };

export function pictureOf(model: Model): Picture {
  const alive: Record<string, string[]> = {};
  const hold = (space: Space, holder: string): void => void (alive[nameOf(space)] ??= []).push(holder);
  for (const { pid, in: where, open, thread } of model.actors.values()) {
    for (const [type, space] of where) hold(space, type === 'time' ? `time_for_children ${pid}` : `process ${pid}`);
    // Of several descriptors of one namespace the lowest is told.
    const told = new Set<Space>();
    for (const [fd, space] of [...open].toSorted(([a], [b]) => a - b)) {
      if (!told.has(space)) hold(space, `fd ${pid} ${fd}`);
      told.add(space);
    }
    // Only where it is elsewhere than its process is a thread told of.
    for (const [type, space] of thread?.in ?? []) if (where.get(type) !== space) hold(space, `thread ${thread?.tid}`);
  }
  for (const [path, space] of model.mounts) hold(space, `mount ${path}`);
  for (const space of model.spaces)
    if (space.owner !== null && alive[nameOf(space)] !== undefined) hold(space.owner, `owner ${nameOf(space)}`);
  for (const holders of Object.values(alive)) holders.sort();
  const ended = model.spaces.map(nameOf).filter((name) => alive[name] === undefined);
  return { alive, ended: ended.toSorted() };
}

const nameOf = ({ type, key }: Space): string => `${type} ${key}`;
