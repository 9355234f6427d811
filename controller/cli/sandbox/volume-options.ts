/** `-v`, `--mount` and `--tmpfs` as docker's users type them, and `--root`, as the contract's volumes and root. Pure. */
import { wrong } from './values.ts';
import { sizeBytes } from './sizes.ts';

/** Checked by the contract's own model afterwards. */
export type VolumeInput = Record<string, unknown> & { type: 'bind' | 'tmpfs'; target: string };

const bindWords: Readonly<Record<string, Record<string, unknown>>> = {
  ro: { readonly: true },
  rw: { readonly: false },
  exec: { noexec: false },
  noexec: { noexec: true },
  private: { propagation: 'private' },
  rprivate: { propagation: 'private' },
  rslave: { propagation: 'rslave' },
  // What every volume is anyway.
  nosuid: {},
  nodev: {},
};

/** `/source:/target` or `/source:/target:ro,noexec`. */
export function volumeOption(text: string): VolumeInput {
  const [source = '', target = '', words, ...more] = text.split(':');
  if (source === '' || target === '' || more.length > 0) throw wrong('--volume', text, '/source:/target or /source:/target:ro');
  if (!source.startsWith('/')) throw wrong('--volume', text, 'a path of the host: there are no named volumes');
  return { type: 'bind', source, target, ...wordsOf('--volume', text, words, bindWords) };
}

/** `/target` or `/target:size=64m,mode=1777`. */
export function tmpfsOption(text: string): VolumeInput {
  const at = text.indexOf(':');
  const target = at < 0 ? text : text.slice(0, at);
  const { propagation: _, ...fields } = at < 0 ? {} : wordsOf('--tmpfs', text, text.slice(at + 1), bindWords);
  return { type: 'tmpfs', target, ...fields };
}

/** `type=bind,source=/a,target=/b,readonly` or `type=tmpfs,target=/b,tmpfs-size=64m,tmpfs-mode=1777`. */
export function mountOption(text: string): VolumeInput {
  const fields: Record<string, unknown> = { type: 'bind' };
  for (const pair of text.split(',')) {
    const at = pair.indexOf('=');
    const key = at < 0 ? pair : pair.slice(0, at);
    const value = at < 0 ? null : pair.slice(at + 1);
    Object.assign(fields, mountField(text, key, value));
  }
  if (fields['type'] !== 'bind' && fields['type'] !== 'tmpfs') throw wrong('--mount', text, 'type=bind or type=tmpfs');
  if (typeof fields['target'] !== 'string') throw wrong('--mount', text, 'target=/path');
  return fields as VolumeInput;
}

function mountField(text: string, key: string, value: string | null): Record<string, unknown> {
  if (value === null || value === 'true') {
    if (key === 'readonly' || key === 'ro') return { readonly: true };
    if (key === 'noexec') return { noexec: true };
  } else if (value === 'false') {
    if (key === 'readonly' || key === 'ro') return { readonly: false };
    if (key === 'noexec') return { noexec: false };
  }
  if (value !== null) {
    if (key === 'type') return { type: value };
    if (key === 'source' || key === 'src') return { source: value };
    if (key === 'target' || key === 'dst' || key === 'destination') return { target: value };
    if (key === 'tmpfs-size') return { sizeBytes: sizeBytes('--mount', value) };
    if (key === 'tmpfs-mode') return { mode: octal('--mount', value) };
    if (key === 'bind-propagation') return wordsOf('--mount', text, value, bindWords);
  }
  throw wrong('--mount', text, 'type, source, target, readonly, noexec, tmpfs-size, tmpfs-mode, bind-propagation');
}

function wordsOf(
  option: string,
  text: string,
  words: string | undefined,
  known: Readonly<Record<string, Record<string, unknown>>>,
): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const word of words === undefined || words === '' ? [] : words.split(',')) {
    if (option === '--tmpfs' && word.startsWith('size=')) Object.assign(fields, { sizeBytes: sizeBytes(option, word.slice(5)) });
    else if (option === '--tmpfs' && word.startsWith('mode=')) Object.assign(fields, { mode: octal(option, word.slice(5)) });
    else if (Object.hasOwn(known, word)) Object.assign(fields, known[word]);
    else throw wrong(option, text, `known words: ${Object.keys(known).join(', ')}${option === '--tmpfs' ? ', size=, mode=' : ''}`);
  }
  return fields;
}

function octal(option: string, text: string): number {
  if (!/^[0-7]{1,4}$/.test(text)) throw wrong(option, text, 'permission bits in octal');
  return Number.parseInt(text, 8);
}
