/** The machine's own Debian mirrors, read from its apt configuration so that no address is written down here. Pure. */

export type Mirror = { uri: string; signedBy: string | null };

/** Repositories of security and backports updates hold no suite named `testing` of their own. */
const notMain = /security|backports|updates|lts/;

/**
 * Mirrors of Debian proper in the two forms that sources.list(5) knows. `files` maps a file's name to its text: `*.sources` is
 * deb822, everything else one entry a line. Other vendors' repositories do not offer a suite of Debian and are left out.
 */
export function debianMirrors(files: ReadonlyMap<string, string>): Mirror[] {
  const found: Mirror[] = [];
  for (const [name, text] of files) {
    for (const entry of name.endsWith('.sources') ? deb822(text) : oneLine(text)) {
      if (entry.types.includes('deb') && entry.components.includes('main') && entry.suites.some(isDebianSuite)) {
        for (const uri of entry.uris) {
          if (!notMain.test(uri) && !uri.startsWith('cdrom:')) found.push({ uri: uri.replace(/\/+$/, ''), signedBy: entry.signedBy });
        }
      }
    }
  }
  return found.filter((mirror, index) => found.findIndex((other) => other.uri === mirror.uri) === index);
}

type Entry = { types: string[]; uris: string[]; suites: string[]; components: string[]; signedBy: string | null };

/** Numbers end at the release whose glibc is too old for the server of testing (2.34: Debian 12 and later). */
function isDebianSuite(suite: string): boolean {
  return /^(stable|testing|unstable|sid|bookworm|trixie|forky|duke)$/.test(suite);
}

function deb822(text: string): Entry[] {
  return text
    .split(/\n[ \t]*\n/)
    .map((stanza) => fields(stanza))
    .filter((stanza) => stanza.get('enabled')?.toLowerCase() !== 'no')
    .map((stanza) => ({
      types: words(stanza.get('types')),
      uris: words(stanza.get('uris')),
      suites: words(stanza.get('suites')),
      components: words(stanza.get('components')),
      signedBy: keyringPath(stanza.get('signed-by')),
    }));
}

function fields(stanza: string): Map<string, string> {
  const found = new Map<string, string>();
  let last: string | null = null;
  for (const line of stanza.split('\n')) {
    if (line.startsWith('#')) continue;
    const field = /^([A-Za-z0-9-]+):(.*)$/.exec(line);
    if (field?.[1] !== undefined) {
      last = field[1].toLowerCase();
      found.set(last, (field[2] ?? '').trim());
    } else if (last !== null && /^[ \t]/.test(line)) {
      found.set(last, `${found.get(last) ?? ''}\n${line.trim()}`.trim());
    }
  }
  return found;
}

function oneLine(text: string): Entry[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*(deb)\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line);
    if (match === null) return [];
    const [, type = '', options = '', uri = '', suite = '', components = ''] = match;
    const signedBy = /(?:^|\s)signed-by=(\S+)/.exec(options)?.[1];
    return [{ types: [type], uris: [uri], suites: [suite], components: words(components), signedBy: keyringPath(signedBy) }];
  });
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter((word) => word !== '');
}

/** Signed-By may also hold a key block or a fingerprint: then Debian's own keyring is used instead. */
function keyringPath(text: string | undefined): string | null {
  return text !== undefined && /^\/[^\s"]+$/.test(text) ? text : null;
}
