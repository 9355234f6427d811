/** What the host offers a sandbox's root: looked up once, since a host seldom changes its /usr or its certificates. */
import { lstatSync, readFileSync, readlinkSync, statSync } from 'node:fs';

/** A name at the host's top level: a link into /usr (merged-usr), or a directory of its own. */
export type TopLevel = { name: string; link: string | null };

export type HostRootFacts = {
  /** of `/bin`, `/sbin`, `/lib*`: those that are there */
  topLevel: TopLevel[];
  /** of the parts of /etc that a sandbox may read: those that are there */
  etc: { path: string; directory: boolean }[];
  /** its resolv.conf, for roots that are not the host's; empty where there is none */
  resolvConf: string;
};

const topLevelNames = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'];

/** No secret, nothing of a user: what programs need to load, to find names and to check certificates. */
const etcPaths = [
  '/etc/alternatives',
  '/etc/ld.so.cache',
  '/etc/ld.so.conf',
  '/etc/ld.so.conf.d',
  '/etc/localtime',
  '/etc/pki/tls/certs',
  '/etc/resolv.conf',
  '/etc/ssl/certs',
];

/** Reads the facts of this host. Missing paths are left out; nothing throws. */
export function readHostRootFacts(): HostRootFacts {
  return {
    topLevel: topLevelNames.flatMap((name) => {
      const stats = lstatSync(`/${name}`, { throwIfNoEntry: false });
      if (stats === undefined) return [];
      return [{ name, link: stats.isSymbolicLink() ? readlinkSync(`/${name}`) : null }];
    }),
    etc: etcPaths.flatMap((path) => {
      const stats = statSync(path, { throwIfNoEntry: false });
      return stats === undefined || !(stats.isDirectory() || stats.isFile()) ? [] : [{ path, directory: stats.isDirectory() }];
    }),
    resolvConf: readResolvConf(),
  };
}

/** Longer than any resolver reads. */
const resolvConfMaxChars = 16_384;

function readResolvConf(): string {
  try {
    return readFileSync('/etc/resolv.conf', 'utf8').replaceAll('\0', '').slice(0, resolvConfMaxChars);
  } catch {
    return '';
  }
}
