/** Events: lists of all, and of a host. */
import { chooseEvents, fillEvents, sinceNumber } from '../event-choice.ts';
import type { Tx } from '../store/client.ts';
import { numberCursor } from '../store/cursor.ts';
import { findHost } from '../store/hosts.ts';
import { isoMoment } from '../moments.ts';
import type { Answers } from './routes.ts';

export function createEventAnswers(db: Tx): Pick<Answers, 'eventList' | 'hostTimeline'> {
  return {
    async eventList({ query, signal }) {
      const read = await chooseEvents(db, query);
      const { events, last } = await fillEvents(read, await sinceNumber(db, query.since), query.limit, signal);
      return { events, last };
    },
    async hostTimeline({ params, query, signal }) {
      const { id, name } = await findHost(db, params.host);
      const range = {
        ...(query.from === undefined ? {} : { from: isoMoment(query.from) }),
        ...(query.to === undefined ? {} : { to: isoMoment(query.to) }),
      };
      const read = await chooseEvents(db, { host: id, types: query.types, filter: query.filter }, range);
      const since = query.cursor === undefined ? '0' : numberCursor(query.cursor, 'read the timeline of a host');
      const { events, last, atEnd } = await fillEvents(read, since, query.limit, signal);
      return { host: { id, name }, events, nextCursor: atEnd ? null : last };
    },
  };
}
