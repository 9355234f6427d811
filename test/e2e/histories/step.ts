/** One step of a random history: done by the kernel, and, where it did it, by the model. */
import { join } from 'node:path';
import fc from 'fast-check';
import type { Actors } from './actors.ts';
import type { Actor, Model, Space } from './model.ts';

const actorsMax = 4;
const types = ['uts', 'ipc', 'net', 'cgroup', 'time'] as const;
type Type = (typeof types)[number];

/** Numbers choose among what is there; where nothing is, the step is none. */
export type Step =
  | { do: 'spawn'; actor: number }
  | { do: 'create'; actor: number; type: Type; owned: boolean }
  | { do: 'join' | 'open' | 'bind'; actor: number; other: number; space: number }
  | { do: 'thread'; actor: number; type: Type }
  | { do: 'drop'; what: number }
  | { do: 'kill'; actor: number }
  | { do: 'settle' };

const actor = fc.nat(actorsMax - 1);
const type = fc.constantFrom(...types);
const any = fc.nat(100);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('spawn' as const), actor }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('create' as const), actor, type, owned: fc.nat(5).map((one) => one === 0) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('join', 'open', 'bind'), actor, other: actor, space: any }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('thread' as const), actor, type }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('drop' as const), what: any }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('kill' as const), actor }) },
  { weight: 2, arbitrary: fc.constant({ do: 'settle' as const }) },
);

export const history: fc.Arbitrary<Step[]> = fc.array(step, { minLength: 4, maxLength: 24, size: 'max' });

export type Stage = { model: Model; actors: Actors; directory: string };

/** Does what is no settling. */
export async function take(stage: Stage, step: Exclude<Step, { do: 'settle' }>): Promise<void> {
  const { model, actors } = stage;
  if (step.do === 'drop') return drop(stage, step.what);
  const one = model.actors.get(step.actor);
  if (step.do === 'spawn' || one === undefined) {
    if (one !== undefined) return;
    const [pid] = (await actors.tell(step.actor, 'spawn')) ?? [];
    model.actors.set(step.actor, { pid: Number(pid), in: new Map(), open: new Map(), thread: null, confined: false });
    return;
  }
  if (step.do === 'kill') {
    await actors.tell(step.actor, 'kill');
    model.actors.delete(step.actor);
  } else if (step.do === 'create') await create(stage, step.actor, one, step);
  else if (step.do === 'thread') await startThread(stage, step.actor, one, step.type);
  else await hold(stage, step.actor, one, step);
}

async function create(stage: Stage, number: number, actor: Actor, { type, owned }: { type: Type; owned: boolean }): Promise<void> {
  const made = await stage.actors.tell(number, 'unshare', ...(owned ? ['user', type] : [type]));
  const [first, second] = (made ?? []).map(spaceOf);
  if (first === undefined) return;
  const inside = owned ? second : first;
  const user = owned ? first : actor.in.get('user');
  stage.model.spaces.push(first);
  if (owned) {
    first.owner = actor.in.get('user') ?? null;
    actor.in.set('user', first);
    actor.confined = true;
  }
  if (inside === undefined) return;
  inside.owner = user ?? null;
  if (owned) stage.model.spaces.push(inside);
  actor.in.set(type, inside);
}

async function startThread(stage: Stage, number: number, actor: Actor, type: Type): Promise<void> {
  // A thread's namespaces for children are told of by its process only.
  if (actor.thread !== null || type === 'time') return;
  const answer = await stage.actors.tell(number, 'thread', type);
  const space = answer?.[1] === undefined ? undefined : spaceOf(answer[1]);
  if (answer === null || space === undefined) throw new Error('a thread cannot make its namespace');
  space.owner = actor.in.get('user') ?? null;
  stage.model.spaces.push(space);
  actor.thread = { tid: Number(answer[0]), in: new Map([...actor.in, [type, space]]) };
}

async function hold(
  { model, actors, directory }: Stage,
  number: number,
  actor: Actor,
  step: { do: 'join' | 'open' | 'bind'; other: number; space: number },
): Promise<void> {
  const other = model.actors.get(step.other);
  const [type, space] = [...(other?.in ?? [])][step.space % (other?.in.size || 1)] ?? [];
  if (other === undefined || type === undefined || space === undefined) return;
  if (step.do === 'open') {
    const answer = await actors.tell(number, 'open', other.pid, type);
    if (answer !== null) actor.open.set(Number(answer[0]), space);
  } else if (step.do === 'bind') {
    const path = join(directory, `${model.spaces.length}-${model.mounts.size}-${number}`);
    if (!model.mounts.has(path) && (await actors.tell(number, 'bind', other.pid, type, path)) !== null) model.mounts.set(path, space);
  } else if (type !== 'user' && type !== 'time' && (await actors.tell(number, 'join', other.pid, type)) !== null) actor.in.set(type, space);
}

/** A descriptor, a mount or a thread. */
async function drop({ model, actors }: Stage, what: number): Promise<void> {
  const drops: (() => Promise<void>)[] = [];
  for (const [number, actor] of model.actors) {
    for (const fd of actor.open.keys())
      drops.push(async () => void ((await actors.tell(number, 'close', fd)) !== null && actor.open.delete(fd)));
    if (actor.thread !== null) drops.push(async () => void ((await actors.tell(number, 'end-thread')) !== null && (actor.thread = null)));
  }
  const free = [...model.actors].find(([, { confined }]) => !confined)?.[0];
  if (free !== undefined)
    for (const path of model.mounts.keys())
      drops.push(async () => void ((await actors.tell(free, 'unbind', path)) !== null && model.mounts.delete(path)));
  await drops[what % (drops.length || 1)]?.();
}

/** `uts:4026532181:432716` */
function spaceOf(text: string): Space {
  const [type = '', , id = ''] = text.split(':');
  return { type, key: `id:${id}`, owner: null };
}

/** What a history leaves: everybody gone, nothing mounted. */
export async function endAll(stage: Stage): Promise<void> {
  const { model, actors } = stage;
  for (const number of model.actors.keys()) await actors.tell(number, 'kill');
  model.actors.clear();
  if (model.mounts.size > 0) await actors.tell(0, 'spawn');
  for (const path of model.mounts.keys()) await actors.tell(0, 'unbind', path);
  await actors.tell(0, 'kill');
  model.mounts.clear();
}
