/**
 * CEL, the one language of every filter and constraint, and the only place that imports its library. An expression comes from a user, so it
 * is bounded: size by the API, nodes and depth here, and nothing in it can take more than polynomial time.
 */
import { Environment, EvaluationError, ParseError, TypeError as CelTypeError } from '@marcbachmann/cel-js';
import type { ASTNode } from '@marcbachmann/cel-js';
import { NsfleetError, errorText } from '#shared/errors.ts';

const maxAstNodes = 500;
const maxDepth = 32;
/** Two loops over at most 64 labels are 4,096 steps a row; a third would be 262,144. */
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
    'int uint double string bool type dyn duration timestamp',
  ].flatMap((line) => line.split(' ')),
);

/** A type in CEL's words (`string`, `int`, `list<string>`, `map<string, string>`, `dyn`), or the fields of an object. */
export type Variables = Readonly<Record<string, CelType | Readonly<Record<string, CelType>>>>;
type CelType =
  | 'string'
  | 'int'
  | 'double'
  | 'bool'
  | 'dyn'
  | 'list<string>'
  | 'map<string, string>'
  | 'map<string, dyn>'
  | typeof durationType
  | typeof timestampType;
export const durationType = 'google.protobuf.Duration';
export const timestampType = 'google.protobuf.Timestamp';

export type Expression = {
  /** Null where it is true of the values, else why not: `false`, or what could not be evaluated. */
  refuse(values: Readonly<Record<string, unknown>>): string | null;
  /** What must hold for it to be true at all: `type == "net" && …` gives `type` → `net`; names with dots for fields. */
  equalities: ReadonlyMap<string, unknown>;
  /** Names of the variables that it looks at. */
  mentions: ReadonlySet<string>;
};

export type Compiler = (text: string) => Expression;

/**
 * CEL has a constant `type`, which nothing can shadow; for people it is the namespace's. Same length, so that columns stay right.
 */
const typeVariable = '_typ';
const stringsAndType = /("""[^]*?"""|'''[^]*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?<![.\w])type(?!\w)(?!\s*\()/gu;

/** A compiler for expressions over the variables. What is wrong with one is `code`, with the column and the place marked. */
export function expressionsOver(variables: Variables, code: 'CONSTRAINT_INVALID' | 'FILTER_INVALID'): Compiler {
  const environment = new Environment({ unlistedVariablesAreDyn: false, limits: { maxAstNodes, maxDepth } });
  for (const [name, type] of Object.entries(variables)) {
    const given = name === 'type' ? typeVariable : name;
    if (typeof type === 'string') environment.registerVariable(given, type);
    else environment.registerVariable(given, { schema: { ...type } });
  }
  const shadowsType = Object.hasOwn(variables, 'type');
  return (text) => {
    const source = shadowsType ? text.replaceAll(stringsAndType, (whole, quoted) => (quoted === undefined ? typeVariable : whole)) : text;
    const refuse = (reason: string, column: number | null, cause?: unknown) => refusal(code, text, reason, column, cause);
    let compiled: ReturnType<Environment['parse']>;
    try {
      compiled = environment.parse(source);
    } catch (error) {
      throw refuse(summaryOf(error), columnOf(error), error);
    }
    const forbidden = findForbidden(compiled.ast, 0);
    if (forbidden !== null) throw refuse(forbidden.reason, forbidden.column);
    const checked = compiled.check();
    if (!checked.valid) throw refuse(summaryOf(checked.error), columnOf(checked.error), checked.error);
    if (checked.type !== 'bool' && checked.type !== 'dyn') throw refuse(`it yields ${checked.type}, not true or false`, null);
    return { refuse: (values) => evaluate(compiled, values), equalities: equalitiesOf(compiled.ast), mentions: mentionsOf(compiled.ast) };
  };
}

function evaluate(compiled: ReturnType<Environment['parse']>, { type, ...values }: Readonly<Record<string, unknown>>): string | null {
  try {
    const result: unknown = compiled(type === undefined ? values : { ...values, [typeVariable]: type });
    if (typeof result !== 'boolean') return `yields ${typeof result}, not true or false`;
    return result ? null : 'false';
  } catch (error) {
    const column = columnOf(error);
    return column === null ? summaryOf(error) : `${summaryOf(error)} (column ${column})`;
  }
}

/** Only a filter shows the place below: a constraint stands in a spec, which is shown anyway. */
function refusal(
  code: 'CONSTRAINT_INVALID' | 'FILTER_INVALID',
  text: string,
  reason: string,
  column: number | null,
  cause: unknown,
): NsfleetError {
  const what = code === 'FILTER_INVALID' ? 'filter' : 'constraint';
  const where = column === null ? '' : ` (column ${column})`;
  const place = code === 'FILTER_INVALID' && column !== null ? `\n${placeText(text, column)}` : '';
  return new NsfleetError(code, {
    attempted: `read ${what}`,
    target: JSON.stringify(text.slice(0, 200)),
    reason: `${reason}${where}${place}`,
    cause,
  });
}

const placeWidth = 60;

/** The text around the column on one line, and a caret below it. */
function placeText(text: string, column: number): string {
  const from = Math.max(0, column - 1 - placeWidth / 2);
  const line = text.slice(from, from + placeWidth).replaceAll(/[\r\n\t]/gu, ' ');
  return `${line}\n${' '.repeat(column - 1 - from)}^`;
}

function summaryOf(error: unknown): string {
  const summary = isCelError(error) ? error.summary : errorText(error);
  return summary
    .replaceAll(typeVariable, 'type')
    .replaceAll('google.protobuf.', '')
    .replaceAll(/\b(Duration|Timestamp)\b/gu, (name) => name.toLowerCase());
}

function columnOf(error: unknown): number | null {
  return isCelError(error) && error.range !== undefined ? error.range.start + 1 : null;
}

function isCelError(error: unknown): error is ParseError | EvaluationError | CelTypeError {
  return error instanceof ParseError || error instanceof EvaluationError || error instanceof CelTypeError;
}

/** Why the expression could run for too long, or null. */
function findForbidden(node: ASTNode, nested: number): { reason: string; column: number } | null {
  const name = node.op === 'call' || node.op === 'rcall' ? node.args[0] : null;
  const column = node.range.start + 1;
  if (name !== null && !functions.has(name)) {
    return { reason: `${name}() is not offered; there are ${[...functions].toSorted().join(', ')}`, column };
  }
  const inside = name !== null && loops.has(name) ? nested + 1 : nested;
  if (inside > maxNestedLoops) return { reason: `${name}() nested more than ${maxNestedLoops} deep`, column };
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

function equalitiesOf(node: ASTNode, found = new Map<string, unknown>()): Map<string, unknown> {
  if (node.op === '&&') for (const side of node.args) equalitiesOf(side, found);
  if (node.op === '==') {
    const [left, right] = node.args;
    const path = pathOf(left);
    // Contradicting ones need no care: all rows of one are refused by the other.
    if (path !== null && right.op === 'value') found.set(path, right.args);
  }
  const path = pathOf(node);
  if (path !== null) found.set(path, true);
  return found;
}

function pathOf(node: ASTNode): string | null {
  if (node.op === 'id') return node.args === typeVariable ? 'type' : node.args;
  if (node.op !== '.') return null;
  const [object, field] = node.args;
  const path = pathOf(object);
  return path === null ? null : `${path}.${field}`;
}

function mentionsOf(node: ASTNode, found = new Set<string>()): Set<string> {
  if (node.op === 'id') found.add(node.args === typeVariable ? 'type' : node.args);
  for (const child of childNodes(node.args)) mentionsOf(child, found);
  return found;
}

type DurationClass = { fromMilliseconds(ms: number): unknown };
/** The library exports no class of its durations: an instance has it. */
const { constructor: durations } = new Environment().evaluate('duration("0s")') as { constructor: DurationClass };

/** Milliseconds as a CEL duration. */
export const celDuration = (ms: number): unknown => durations.fromMilliseconds(ms);

/** CEL tells int from double; a JavaScript integer is meant as an int, or `host.facts.cpus + 1` would have no overload. */
export function celValue(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(celValue);
  // A Map: the library would take an object with the key `constructor` for an instance of something else.
  if (typeof value === 'object' && value !== null) return new Map(Object.entries(value).map(([key, inner]) => [key, celValue(inner)]));
  return value;
}
