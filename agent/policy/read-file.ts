/** The policy file, from a disk that others may write to: who could have written it is asked before what it says. */
import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync, realpathSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { dirname } from 'node:path';
import { LineCounter, isMap, isPair, isScalar, parseDocument } from 'yaml';
import type { Document } from 'yaml';
import type { z } from 'zod';
import { NsfleetError, errorText } from '#shared/errors.ts';
import { PolicyFile } from './model.ts';

/** A policy is a page; more is a mistake. */
const sizeMaxBytes = 256 * 1024;

/**
 * What `path` says; null where there is nothing. `owner`: who beside root may own it: the agent's user. CONFIG_INVALID, with the line, where it
 * cannot be read, is no policy, or could have been written by somebody else.
 */
export function readPolicyFile(path: string, owner: number): PolicyFile | null {
  const refuse = (reason: string, cause?: unknown) =>
    new NsfleetError('CONFIG_INVALID', { attempted: 'read the policy', target: path, reason, cause });
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw refuse(errorText(error), error);
  }
  let text: string;
  try {
    // The file that is open is the one that is judged and read, whatever its name comes to mean.
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw refuse('it is no ordinary file');
    if (stats.size > sizeMaxBytes) throw refuse(`it has ${stats.size} bytes, more than ${sizeMaxBytes}`);
    const unsafe = whoElseWrites(stats, path, owner) ?? unsafeDirectory(path, owner);
    if (unsafe !== null) throw refuse(unsafe);
    text = readFileSync(fd, 'utf8');
  } catch (error) {
    throw error instanceof NsfleetError ? error : refuse(errorText(error), error);
  } finally {
    closeSync(fd);
  }
  return parsePolicy(text, path);
}

/** Each directory above it could be given another file of that name by who may write there, as sshd(8)'s StrictModes sees it. */
function unsafeDirectory(path: string, owner: number): string | null {
  for (let directory = dirname(realpathSync(path)); ; directory = dirname(directory)) {
    const stats = lstatSync(directory);
    // In a sticky directory only the owner of a file may put another in its place.
    const unsafe = (stats.mode & 0o1000) !== 0 && isOwned(stats, owner) ? null : whoElseWrites(stats, directory, owner);
    if (unsafe !== null) return unsafe;
    if (directory === '/') return null;
  }
}

const isOwned = ({ uid }: Stats, owner: number): boolean => uid === 0 || uid === owner;

function whoElseWrites(stats: Stats, path: string, owner: number): string | null {
  if (!isOwned(stats, owner))
    return `${path} belongs to uid ${stats.uid}: only root${owner === 0 ? '' : ` and uid ${owner}`} may decide here`;
  if ((stats.mode & 0o022) === 0) return null;
  return `${path} may be written by others (mode ${(stats.mode & 0o7777).toString(8)}): chmod go-w ${path}`;
}

/** Pure. Every problem with its line and column: `3:5 hostNamespaces.0: …`. */
export function parsePolicy(text: string, target: string): PolicyFile {
  const refuse = (problems: readonly string[]) =>
    new NsfleetError('CONFIG_INVALID', { attempted: 'read the policy', target, reason: problems.slice(0, 20).join('; ') });
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `line ${line}, column ${col}`;
  };
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0) throw refuse(broken.map((error) => `${at(error.pos[0])}: ${error.message}`));
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw refuse([errorText(error)]);
  }
  const parsed = PolicyFile.safeParse(value);
  if (parsed.success) return parsed.data;
  throw refuse(parsed.error.issues.map((issue) => `${at(offsetOf(document, issue))}: ${sentenceOf(issue)}`));
}

function sentenceOf(issue: z.core.$ZodIssue): string {
  const where = issue.path.join('.');
  return where === '' ? issue.message : `${where}: ${issue.message}`;
}

/** Where the value that a problem is about begins, or the nearest one around it. */
function offsetOf(document: Document, issue: z.core.$ZodIssue): number {
  if (issue.code === 'unrecognized_keys') {
    const map = issue.path.length === 0 ? document.contents : document.getIn(issue.path, true);
    const pair = isMap(map) ? map.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === issue.keys[0]) : undefined;
    if (pair !== undefined && isScalar(pair.key)) return pair.key.range?.[0] ?? 0;
  }
  for (let depth = issue.path.length; depth > 0; depth -= 1) {
    const node = document.getIn(issue.path.slice(0, depth), true) as { range?: [number, number, number] } | undefined;
    if (node?.range !== undefined) return node.range[0];
  }
  return 0;
}
