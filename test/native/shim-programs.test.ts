/** What people run still runs under the filter that every sandbox has: of each program something that uses much of the kernel. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { before, describe, test } from 'node:test';
import { temporaryDirectories } from '#test/support/dirs.ts';
import { fileResources } from '#test/support/file-scope.ts';
import { leakCheck } from '#test/support/leaks.ts';
import { runToEnd, shellPlan } from '#test/support/sandbox.ts';
import { loadShims } from '#test/support/shim.ts';
import type { Shims } from '#test/support/shim.ts';

leakCheck();
const dirs = temporaryDirectories();
let shims: Shims;
before(async () => {
  shims = fileResources.use(await loadShims());
});

const node = `
  const { createServer, connect } = require('node:net');
  const { fork, spawnSync } = require('node:child_process');
  const { Worker, isMainThread } = require('node:worker_threads');
  const { watch, writeFileSync, readFileSync } = require('node:fs');
  const { lookup } = require('node:dns');
  const tcp = () => new Promise((resolve) => {
    const server = createServer((socket) => socket.end('tcp')).listen(0, '127.0.0.1', () =>
      connect(server.address().port, '127.0.0.1').on('data', (data) => { server.close(); resolve(String(data)); }));
  });
  const worker = () => new Promise((resolve) => new Worker('require("node:worker_threads").parentPort.postMessage("worker")', { eval: true }).on('message', resolve));
  const named = () => new Promise((resolve, reject) => lookup('localhost', (error, address) => error ? reject(error) : resolve('dns')));
  const watched = () => new Promise((resolve) => {
    writeFileSync('/tmp/w', '1');
    const watcher = watch('/tmp', () => { watcher.close(); resolve('watch'); });
    writeFileSync('/tmp/w', '2');
  });
  const child = () => spawnSync('sh', ['-c', 'echo child']).stdout.toString().trim();
  Promise.all([tcp(), worker(), named(), watched()]).then((all) => console.log([...all, child(), require('node:crypto').randomBytes(4).length].join(' ')));`;

const python = `
import os, socket, subprocess, threading, multiprocessing, mmap, tempfile, select, ctypes
s = socket.create_server(('127.0.0.1', 0)); t = threading.Thread(target=lambda: s.accept()[0].sendall(b'tcp')); t.start()
c = socket.create_connection(s.getsockname()); a = c.recv(9).decode(); t.join()
r, w = os.pipe(); os.mkfifo('/tmp/fifo')
q = multiprocessing.get_context('fork').Queue(); p = multiprocessing.get_context('fork').Process(target=q.put, args=('fork',)); p.start(); b = q.get(); p.join()
m = mmap.mmap(-1, 4096); f = os.memfd_create('x'); e = select.epoll(); e.register(r)
u = socket.socket(socket.AF_UNIX); n = len(socket.if_nameindex())
print(a, b, subprocess.check_output(['echo', 'child']).decode().strip(), n)`;

const programs: readonly { name: string; needs: string[]; script: string; output: string | RegExp }[] = [
  {
    name: 'sh',
    needs: [],
    script: 'seq 100 | sort -rn | head -1; (sleep 0.01 & wait); trap "echo bye" EXIT; kill -0 $$; ulimit -n; umask',
    output: '100\n1024\n0022\nbye\n',
  },
  {
    name: 'git',
    needs: ['/usr/bin/git'],
    script: `cd /tmp; export HOME=/tmp; git init -q a; cd a; echo x > f; git add f; git -c user.name=n -c user.email=e commit -qm one; git gc -q
      git clone -q /tmp/a /tmp/b; git -C /tmp/b log --format=%s; git -C /tmp/b fsck 2>&1 | grep -v Checking`,
    output: /^one\n/,
  },
  {
    name: 'tar',
    needs: ['/usr/bin/tar'],
    script: 'cd /tmp; mkdir a; ln -s x a/l; mkfifo a/p; echo y > a/f; tar czf a.tgz a && rm -r a && tar xzf a.tgz && ls a | tr "\\n" " "',
    output: 'f l p ',
  },
  {
    name: 'perl',
    needs: ['/usr/bin/perl'],
    script: `perl -MSocket -e 'socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, 0); syswrite $a, "pair"; sysread $b, my $x, 9; print $x'`,
    output: 'pair',
  },
  { name: 'python3', needs: ['/usr/bin/python3'], script: `/usr/bin/python3 - <<'END'\n${python}\nEND`, output: 'tcp fork child 1\n' },
  { name: 'node', needs: [], script: `/opt/node/node - <<'END'\n${node}\nEND`, output: 'tcp worker dns watch child 4\n' },
  {
    name: 'setpriv',
    needs: ['/usr/bin/setpriv'],
    script:
      'setpriv --reuid 5 --regid 6 --clear-groups id -u 2>&1; nice -n 5 nice; chrt -b 0 echo batch; ionice -c 3 echo idle; taskset 1 echo pinned',
    output: /5\nbatch\nidle\npinned\n$/,
  },
  { name: 'ip', needs: ['/usr/bin/ip'], script: 'ip -o link | wc -l; ip -o addr show lo | grep -c 127.0.0.1', output: '1\n1\n' },
];

for (const profile of ['strict', 'container'] as const) {
  describe(profile, () => {
    for (const { name, needs, script, output } of programs) {
      test(name, async (t) => {
        const missing = needs.find((path) => !existsSync(path));
        if (missing !== undefined) return t.skip(`no ${missing} here`);
        const volumes = [{ type: 'bind' as const, source: dirname(process.execPath), target: '/opt/node' }];
        const { stdout, stderr } = await runToEnd(shims, shellPlan(script, { volumes, seccomp: { profile } }), dirs.root);
        if (typeof output === 'string') assert.equal(stdout, output, stderr);
        else assert.match(stdout, output, stderr);
      });
    }
  });
}
