/** What the parts of a running controller share. */
import type { Log } from '#shared/log.ts';
import type { Asker } from './asker.ts';
import type { AccountKeys } from './credentials/keys.ts';
import type { LeakWatch } from './leaks/watch.ts';
import type { Link } from './link.ts';
import type { Metrics } from './metrics.ts';
import type { Sender } from './sender.ts';
import type { Store } from './store/client.ts';

export type Context = {
  /** Of this run: a subject token, new with each start. */
  controllerId: string;
  store: Store;
  link: Link;
  asker: Asker;
  sender: Sender;
  keys: AccountKeys;
  /** What agents are told to connect to. */
  natsUrl: string;
  metrics: Metrics;
  leaks: LeakWatch;
  log: Log;
};
