/**
 * Names that people know, read from cgroup paths alone: every engine puts its containers into cgroups of a known form, so no engine's socket is
 * asked. Pure. The forms are those of systemd and cgroupfs drivers (runc libcontainer/cgroups, kubelet pkg/kubelet/cm, crio, libpod, lxc, nspawn).
 */
import type { NamespaceName } from '#shared/namespace-details.ts';
import { rawText } from '#shared/raw-text.ts';

type Form = { source: NamespaceName['source']; pattern: RegExp; within?: string; name?: (found: string) => string };

const containerId = '([0-9a-f]{64}|[0-9a-f]{32}-[0-9]{9,10})';
const podUid = '([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32})';
const dashes = (found: string): string => found.replaceAll('_', '-');

/** Best first: what runs, then what it belongs to, then the unit that started it. */
const forms: Form[] = [
  { source: 'docker', pattern: new RegExp(`(?:^|/)docker[-/]${containerId}(?:\\.scope)?(?:/|$)`) },
  { source: 'containerd', pattern: new RegExp(`(?:[/:]|^)cri-containerd[-:]${containerId}(?:\\.scope)?(?:/|$)`) },
  { source: 'crio', pattern: new RegExp(`(?:^|/)crio-${containerId}(?:\\.scope)?(?:/|$)`) },
  { source: 'podman', pattern: new RegExp(`(?:^|/)libpod-${containerId}(?:\\.scope)?(?:/|$)`) },
  // kubelet's cgroupfs driver, whatever the runtime: the container lies below its pod.
  { source: 'containerd', pattern: new RegExp(`/pod${podUid}/(?:[0-9a-z.]+-)?(?<container>${containerId})(?:/|$)`) },
  { source: 'lxc', pattern: /(?:^|\/)lxc(?:\.payload[./]|\/)(?!monitor)([^/]+)/ },
  { source: 'nspawn', pattern: /(?:^|\/)systemd-nspawn@([^/]+)\.service(?:\/|$)/, name: unescapeUnit },
  { source: 'nspawn', pattern: /(?:^|\/)machine-([^/]+)\.scope(?:\/|$)/, name: unescapeUnit },
  { source: 'kubernetes', within: 'kubepods', pattern: new RegExp(`[-/]pod${podUid}(?:\\.slice)?(?:/|$)`), name: dashes },
];

/** Innermost, because a user's service lies below user@1000.service. */
const unit = /\.(?:service|scope|socket|mount|swap)$/;

/** A hierarchy has one line, a path at most PATH_MAX bytes: what is longer was made to keep the agent busy. */
const linesMax = 64;
const pathMax = 4096;

/** All names that the text of /proc/<pid>/cgroup (cgroups(7)) holds, best first, each source once. */
export function namesOfCgroups(text: Uint8Array): NamespaceName[] {
  // One character a byte, so that what is matched is what the kernel wrote.
  const paths = Buffer.from(text).toString('latin1').split('\n', linesMax).map(pathOf);
  const names = new Map<string, NamespaceName>();
  const add = (source: NamespaceName['source'], name: string): void => {
    if (!names.has(source)) names.set(source, { source, name: rawText(Buffer.from(name, 'latin1')) });
  };
  for (const { source, pattern, within = '', name } of forms) {
    for (const path of paths) {
      if (!path.includes(within)) continue;
      const found = pattern.exec(path);
      const text = found?.groups?.['container'] ?? found?.[1];
      if (text !== undefined) add(source, name === undefined ? text : name(text));
    }
  }
  for (const path of paths) {
    const found = path.split('/').findLast((part) => unit.test(part) && !part.startsWith('.'));
    if (found !== undefined) add('systemd', found);
  }
  return [...names.values()];
}

/** `4:memory:/a/b` and `0::/a/b`: behind the second colon, and colons may follow. */
function pathOf(line: string): string {
  const second = line.indexOf(':', line.indexOf(':') + 1);
  return second < 0 ? '' : line.slice(second + 1, second + 1 + pathMax);
}

/** systemd.unit(5), "String escaping": `\x2d` is `-`. */
function unescapeUnit(name: string): string {
  return name.replaceAll(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
