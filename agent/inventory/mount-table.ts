/** /proc/<pid>/mountinfo (proc_pid_mountinfo(5)) as rows. Pure; paths are the bytes that a process chose, so they come as raw text. */
import { rawText } from '#shared/raw-text.ts';

export type MountRow = {
  mountId: number;
  parentId: number;
  /** `major:minor` */
  device: string;
  /** of the mount within its file system; of a bind mount of a namespace `net:[4026532000]` */
  root: string;
  target: string;
  options: string;
  /** `shared:1`, `master:2`, `propagate_from:3`, `unbindable` */
  propagation: string[];
  fsType: string;
  source: string;
  superOptions: string;
};

/** Lines that are none are left out: the kernel writes none, but a file that is cut may end in half a line. */
export function parseMountinfo(bytes: Uint8Array): MountRow[] {
  const rows: MountRow[] = [];
  for (const line of Buffer.from(bytes).toString('latin1').split('\n')) {
    const row = parseLine(line);
    if (row !== null) rows.push(row);
  }
  return rows;
}

const optionalFrom = 6;

function parseLine(line: string): MountRow | null {
  // Spaces inside of a field are written \040, so a space always parts two.
  const fields = line.split(' ');
  const end = fields.indexOf('-', optionalFrom);
  const [mountId, parentId, device, root, target, options] = fields;
  const [fsType, source, superOptions] = end < 0 ? [] : fields.slice(end + 1);
  if (fsType === undefined || source === undefined || superOptions === undefined) return null;
  if (device === undefined || root === undefined || target === undefined || options === undefined) return null;
  if (!/^[0-9]{1,10}$/.test(mountId ?? '') || !/^[0-9]{1,10}$/.test(parentId ?? '')) return null;
  return {
    mountId: Number(mountId),
    parentId: Number(parentId),
    device,
    root: fieldText(root),
    target: fieldText(target),
    options: fieldText(options),
    propagation: fields.slice(optionalFrom, end),
    fsType: fieldText(fsType),
    source: fieldText(source),
    superOptions: fieldText(superOptions),
  };
}

/** The kernel's mangle_path: space, tab, newline, # and backslash as three octal digits. */
function fieldText(field: string): string {
  const bytes = field.replaceAll(/\\([0-3][0-7]{2})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return rawText(Buffer.from(bytes, 'latin1'));
}

/** As findmnt(8) says it. */
export function propagationText(propagation: readonly string[]): string {
  const words = new Set<string>();
  for (const tag of propagation) {
    if (tag.startsWith('shared:')) words.add('shared');
    else if (tag.startsWith('master:')) words.add('slave');
    else if (tag === 'unbindable') words.add('unbindable');
  }
  return words.size === 0 ? 'private' : [...words].join(',');
}
