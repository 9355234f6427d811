/** Names that people know of namespaces. */
import type { NamespaceName } from '#shared/namespace-details.ts';
import type { Namespace } from '#shared/resources.ts';
import { joined, raw, shown } from '../output/raw.ts';
import type { Shown } from '../output/raw.ts';

/** As docker cuts them. */
const containerIdDigits = 12;

/** `docker:3f2a…` cut to 12 digits where it is a container's id; `full`: whole. */
export function nameText({ source, name }: NamespaceName, full = false): Shown {
  const isId = /^[0-9a-f]{64}$/u.test(name);
  return shown`${source}:${isId && !full ? name.slice(0, containerIdDigits) : name}`;
}

/** The best one; null where it has none. */
export function bestName({ names }: Pick<Namespace, 'names'>): Shown | null {
  const [best] = names;
  return best === undefined ? null : nameText(best);
}

/** All, best first. */
export function allNames({ names }: Pick<Namespace, 'names'>): Shown | null {
  return names.length === 0
    ? null
    : joined(
        names.map((name) => nameText(name)),
        ',',
      );
}

/** What stands for it in one line: its best name, else its leader's command, else nothing. */
export function calledText(namespace: Pick<Namespace, 'names' | 'leader'>): Shown | null {
  return bestName(namespace) ?? commandOf(namespace);
}

/** Kernel threads have no command line; lsns shows their name too. */
export function commandOf({ leader }: Pick<Namespace, 'leader'>): Shown | null {
  return raw(leader?.command || leader?.comm);
}
