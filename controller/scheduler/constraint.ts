/** Constraints: CEL (filter/cel.ts) over `host` (id, name, labels, facts), known from Kubernetes. */
import type { HostFacts, Labels } from '#shared/host.ts';
import { celValue, expressionsOver } from '../filter/cel.ts';

/** What a constraint may look at. */
export type ConstrainedHost = { id: string; name: string; labels: Labels; facts: HostFacts | null };

/** Null where the host satisfies it, else why not: `false`, or what could not be evaluated. */
export type Constraint = (host: ConstrainedHost) => string | null;

const compile = expressionsOver(
  { host: { id: 'string', name: 'string', labels: 'map<string, string>', facts: 'map<string, dyn>' } },
  'CONSTRAINT_INVALID',
);

/** Compiles once for all hosts, or CONSTRAINT_INVALID with the column of the mistake. */
export function compileConstraint(text: string): Constraint {
  const expression = compile(text);
  return ({ id, name, labels, facts }) => expression.refuse({ host: { id, name, labels: celValue(labels), facts: celValue(facts ?? {}) } });
}
