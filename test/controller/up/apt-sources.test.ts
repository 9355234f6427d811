/** The machine's mirrors from both forms of apt's sources. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { debianMirrors } from '#controller/up/apt-sources.ts';
import { leakCheck } from '#test/support/leaks.ts';

leakCheck();
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
const mirrors = (name: string, text: string) => debianMirrors(new Map([[name, text]]));

test('deb822, as Debian’s installer and images write it', () => {
  const text = `# comment
Types: deb deb-src
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main non-free-firmware
Signed-By: ${keyring}

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: ${keyring}
`;
  assert.deepEqual(mirrors('debian.sources', text), [{ uri: 'http://mirror.example/debian', signedBy: keyring }]);
});

test('deb822: several addresses, a folded field, a disabled stanza, a key block instead of a path', () => {
  const text = `Enabled: no
Types: deb
URIs: http://disabled.example/debian
Suites: trixie
Components: main

Types: deb
URIs: http://a.example/debian
 http://b.example/debian
Suites: trixie
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----
`;
  assert.deepEqual(mirrors('x.sources', text), [
    { uri: 'http://a.example/debian', signedBy: null },
    { uri: 'http://b.example/debian', signedBy: null },
  ]);
});

test('one line an entry, as debootstrap writes it, with and without options', () => {
  assert.deepEqual(mirrors('sources.list', 'deb http://mirror.example/debian bookworm main\n'), [
    { uri: 'http://mirror.example/debian', signedBy: null },
  ]);
  const text = `# deb http://commented.example/debian bookworm main
deb-src http://source.example/debian bookworm main
deb [arch=amd64 signed-by=${keyring}] https://mirror.example/debian trixie main contrib # trailing
deb cdrom:[Debian GNU/Linux 12]/ bookworm main
deb http://mirror.example/debian-security bookworm-security main
`;
  assert.deepEqual(mirrors('sources.list', text), [{ uri: 'https://mirror.example/debian', signedBy: keyring }]);
});

test('other vendors’ repositories and other systems have no mirror of Debian', () => {
  assert.deepEqual(mirrors('sources.list', 'deb https://packages.example/apt cloud-sdk main\n'), []);
  assert.deepEqual(mirrors('sources.list', 'deb http://archive.example/ubuntu noble main universe\n'), []);
  assert.deepEqual(debianMirrors(new Map()), []);
});

test('the same mirror in two files counts once', () => {
  const line = 'deb http://mirror.example/debian bookworm main\n';
  assert.equal(
    debianMirrors(
      new Map([
        ['sources.list', line],
        ['more.list', line],
      ]),
    ).length,
    1,
  );
});
