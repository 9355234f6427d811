/** Actions on namespaces as controllers ask for them: the policy first, then what the host shows now, then the deed. */
import type { ReapOutcome } from '#shared/act.ts';
import type { Question } from '#shared/messages.ts';
import type { Watch } from '../inventory/watch.ts';
import type { Link } from '../link.ts';
import { checkAction } from '../policy.ts';
import type { RunnerParts } from '../sandbox/runner.ts';
import type { OpenStream } from '../stream/served-process.ts';
import { startJoin } from './join.ts';
import { keepExisting, keepNew } from './keep.ts';
import type { KeepParts } from './keep.ts';
import { openNamespace, wordOf } from './open-namespace.ts';
import { planReap, takeSteps } from './reap.ts';
import { unkeep } from './unkeep.ts';

export type ActionParts = KeepParts & {
  runner: RunnerParts;
  watch: Watch;
  /** Resolves when what the host shows now is in the controllers' books, or after a bound. */
  settled: () => Promise<void>;
};

type Asked<T extends Question['type']> = Extract<Question, { type: T }>;

export type Actions = {
  keep(question: Asked<'keep'>): Promise<object>;
  attach(question: Asked<'attach'>): Promise<object>;
  unkeep(question: Asked<'unkeep'>): Promise<object>;
  reap(question: Asked<'reap'>): Promise<object>;
  join(link: Link, question: Asked<'join'>): Promise<OpenStream>;
};

/** Each throws ACTION_NOT_ALLOWED where this host does not allow it. What was done is in the inventory when it resolves. */
export function createActions(parts: ActionParts): Actions {
  const { watch, runner, settled } = parts;
  const host = { policy: runner.policy, uid: runner.owner.uid };
  const ownMountInode = (): number => runner.native.relate({ path: '/proc/self/ns/mnt' }).inode;
  return {
    async keep({ name, types, requestKey }) {
      checkAction(host, 'keep', 'create namespaces', name);
      const namespaces = await keepNew(parts, { name, types }, requestKey);
      await settled();
      return { namespaces };
    },
    async attach({ namespaceType: type, key, name }) {
      checkAction(host, 'keep', 'attach a name to a namespace', name);
      using source = openNamespace(runner.native, await watch.scanNow(), { type, key });
      const namespaces = [await keepExisting(parts, name, type, source)];
      await settled();
      return { namespaces };
    },
    async unkeep({ namespaceType: type, key, force }) {
      checkAction(host, 'keep', 'remove', wordOf({ type, key }));
      const paths = await unkeep(parts, await watch.scanNow(), { type, key, force });
      await settled();
      return { paths };
    },
    async reap({ namespaces, dryRun }) {
      if (!dryRun) checkAction(host, 'reap', 'reap', `${namespaces.length} namespaces`);
      const model = await watch.scanNow();
      const outcomes: ReapOutcome[] = [];
      for (const named of namespaces) {
        const plan = planReap(model, named, ownMountInode(), [parts.directories.netns, parts.directories.others]);
        outcomes.push(dryRun ? plan : await takeSteps(parts, model, plan));
      }
      if (!dryRun) await settled();
      return { outcomes };
    },
    async join(link, { streamId, type: _type, ...request }) {
      checkAction(host, 'exec', 'run a command in chosen namespaces', request.command[0] ?? '');
      return startJoin(runner, link, streamId, await watch.scanNow(), request);
    },
  };
}
