/** Filters of those that follow events: equal ones judge an event once, and all of them share what turns.ts gives them. */
import type { Event } from '#shared/resources.ts';
import { judgeInTime } from './bounded.ts';
import type { Compiler, Expression } from './cel.ts';
import { compileEventFilter, eventValues } from './nouns.ts';
import { createTurns } from './turns.ts';
import type { Account, Turns } from './turns.ts';

/** Judged at a stretch, which takes about a millisecond. */
const stretchEvents = 50;
/** Of a stretch: five milliseconds an event. */
const stretchMs = 250;
/** Verdicts that are kept of one filter: two pages, which is where followers differ who keep up. */
const verdictsMax = 400;

export type FollowerFilter = {
  /** Those of which it is true. FILTER_TOO_SLOW, or the signal's reason. */
  wanted(events: readonly Event[], signal: AbortSignal): Promise<Event[]>;
  [Symbol.dispose](): void;
};
export type FollowerFilters = {
  /** FILTER_INVALID. To be disposed of when the follower goes. */
  use(text: string): FollowerFilter;
};

/** `verdicts`: by number of the event. An event never changes, and no expression over it knows the time. */
type Shared = { expression: Expression; account: Account; verdicts: Map<string, boolean>; users: number };

export function createFollowerFilters(turns: Turns = createTurns(), compile: Compiler = compileEventFilter): FollowerFilters {
  const byText = new Map<string, Shared>();
  return {
    use(text) {
      const shared = byText.get(text) ?? { expression: compile(text), account: turns.open(), verdicts: new Map(), users: 0 };
      byText.set(text, shared);
      shared.users += 1;
      return {
        async wanted(events, signal) {
          const found: Event[] = [];
          for (let from = 0; from < events.length; from += stretchEvents) {
            const stretch = events.slice(from, from + stretchEvents);
            const judge = () => stretch.filter((event) => verdictOf(shared, event));
            const known = stretch.every(({ seq }) => shared.verdicts.has(seq));
            const timed = () => judgeInTime('FILTER_TOO_SLOW', judge, stretchMs);
            found.push(...(known ? judge() : await turns.take(shared.account, timed, signal)));
          }
          return found;
        },
        [Symbol.dispose]() {
          shared.users -= 1;
          if (shared.users === 0) byText.delete(text);
        },
      };
    },
  };
}

/** When its turn comes another may have judged it already. */
function verdictOf({ expression, verdicts }: Shared, event: Event): boolean {
  const known = verdicts.get(event.seq);
  if (known !== undefined) return known;
  const verdict = expression.refuse(eventValues(event)) === null;
  verdicts.set(event.seq, verdict);
  if (verdicts.size > verdictsMax) verdicts.delete(verdicts.keys().next().value ?? '');
  return verdict;
}
