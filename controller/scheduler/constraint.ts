/**
 * Constraints: CEL over `host` (id, name, labels, facts), one language for every filter and known from Kubernetes. A constraint comes
 * from a user, so it is bounded: size by the API, nodes and depth here, and nothing in it can take more than polynomial time.
 */
import { Environment } from '@marcbachmann/cel-js';
import { EvaluationError, ParseError, TypeError as CelTypeError } from '@marcbachmann/cel-js';
import type { ASTNode } from '@marcbachmann/cel-js';
import { NsfleetError, errorText } from '#shared/errors.ts';
import type { HostFacts, Labels } from '#shared/host.ts';

/** What a constraint may look at. */
export type ConstrainedHost = { id: string; name: string; labels: Labels; facts: HostFacts | null };

/** Null where the host satisfies it, else why not: `false`, or what could not be evaluated. */
export type Constraint = (host: ConstrainedHost) => string | null;

const maxAstNodes = 500;
const maxDepth = 32;
/** Two loops over at most 64 labels are 4,096 steps a host; a third would be 262,144. */
const maxNestedLoops = 2;
const loops = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);
/**
 * What may be called, by name: an allow-list, because each function needs an argument why it stays cheap. Missing on purpose are
 * matches() (JavaScript's expressions are not RE2's: one `(a+)+$` would stop the controller) and bind() (it names a value that the next
 * one may double: twelve of them fill the memory).
 */
const functions = new Set(
  [
    'all exists exists_one map filter',
    'size has contains startsWith endsWith lowerAscii upperAscii trim indexOf lastIndexOf substring',
    'int uint double string bool type dyn',
  ].flatMap((line) => line.split(' ')),
);

const environment = new Environment({ unlistedVariablesAreDyn: false, limits: { maxAstNodes, maxDepth } }).registerVariable('host', {
  schema: { id: 'string', name: 'string', labels: 'map<string, string>', facts: 'map<string, dyn>' },
});

/** Compiles once for all hosts, or CONSTRAINT_INVALID with the column of the mistake. */
export function compileConstraint(text: string): Constraint {
  const refuse = (reason: string, cause?: unknown) =>
    new NsfleetError('CONSTRAINT_INVALID', { attempted: 'read constraint', target: JSON.stringify(text.slice(0, 200)), reason, cause });
  let compiled: ReturnType<Environment['parse']>;
  try {
    compiled = environment.parse(text);
  } catch (error) {
    throw refuse(celReason(error), error);
  }
  const forbidden = findForbidden(compiled.ast, 0);
  if (forbidden !== null) throw refuse(forbidden);
  const checked = compiled.check();
  if (!checked.valid) throw refuse(celReason(checked.error), checked.error);
  if (checked.type !== 'bool' && checked.type !== 'dyn') throw refuse(`it yields ${checked.type}, not true or false`);
  return (host) => {
    try {
      // A Map: the library would take an object with the label `constructor` for an instance of something else.
      const result: unknown = compiled({
        host: { id: host.id, name: host.name, labels: new Map(Object.entries(host.labels)), facts: celNumbers(host.facts ?? {}) },
      });
      if (typeof result !== 'boolean') return `yields ${typeof result}, not true or false`;
      return result ? null : 'false';
    } catch (error) {
      return celReason(error);
    }
  };
}

/** CEL tells int from double; a JavaScript integer is meant as an int, or `host.facts.cpus + 1` would have no overload. */
function celNumbers(facts: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(facts).map(([key, value]) => [key, Number.isSafeInteger(value) ? BigInt(value as number) : value]),
  );
}

function celReason(error: unknown): string {
  if (error instanceof ParseError || error instanceof EvaluationError || error instanceof CelTypeError) {
    return error.range === undefined ? error.summary : `${error.summary} (column ${error.range.start + 1})`;
  }
  return errorText(error);
}

/** Why the expression could run for too long, or null. */
function findForbidden(node: ASTNode, nested: number): string | null {
  const name = node.op === 'call' || node.op === 'rcall' ? node.args[0] : null;
  const column = `(column ${node.range.start + 1})`;
  if (name !== null && !functions.has(name)) return `${name}() is not offered; there are ${[...functions].toSorted().join(', ')} ${column}`;
  const inside = name !== null && loops.has(name) ? nested + 1 : nested;
  if (inside > maxNestedLoops) return `${name}() nested more than ${maxNestedLoops} deep ${column}`;
  for (const child of childNodes(node.args)) {
    const found = findForbidden(child, inside);
    if (found !== null) return found;
  }
  return null;
}

function childNodes(args: unknown): ASTNode[] {
  if (Array.isArray(args)) return args.flatMap(childNodes);
  return typeof args === 'object' && args !== null && 'op' in args ? [args as ASTNode] : [];
}
