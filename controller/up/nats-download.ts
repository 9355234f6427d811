/**
 * nats-server from Debian testing, into the user's cache. Debian 12's own 2.9.10 has known holes; testing's needs only glibc 2.34 and
 * so runs on Debian 12 too.
 */
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory } from '#controller/make-directory.mjs';
import { NsfleetError } from '#shared/errors.ts';
import { withDebianPackages } from './debian-package.ts';
import type { Say } from './progress.ts';

/** Downloads into `cacheDir` and returns the binary's path. NATS_SERVER_MISSING, with what to install, elsewhere than on Debian. */
export async function downloadNatsServer(cacheDir: string, say: Say, signal?: AbortSignal): Promise<string> {
  makeDirectory(cacheDir);
  const download = { packages: ['nats-server'], suite: 'testing', workDir: join(cacheDir, `nats-server.new-${process.pid}`), signal };
  const result = await withDebianPackages(download, say, (root) => install(root, join(cacheDir, 'nats-server')));
  if ('value' in result) return result.value;
  throw missing(result.failures.join('; '));
}

function install(root: string, target: string): string {
  const binary = ['usr/sbin/nats-server', 'usr/bin/nats-server'].map((path) => join(root, path)).find((path) => existsSync(path));
  if (binary === undefined) throw missing('the package holds no nats-server');
  renameSync(binary, target);
  return target;
}

function missing(reason: string): NsfleetError {
  return new NsfleetError('NATS_SERVER_MISSING', { attempted: 'find', target: 'nats-server', reason });
}
