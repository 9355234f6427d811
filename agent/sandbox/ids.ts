/** The host's pool of uid ranges, checked here whatever the controller says: two sandboxes with one id would not be isolated. Pure. */
import { NsfleetError } from '#shared/errors.ts';
import type { DesiredPlacement } from '#shared/sandbox.ts';
import { idRangeSize } from '#shared/host.ts';
import { mapProblems, overlaps, ownIds } from './identity.ts';
import type { Owner } from './identity.ts';

/** Null: an unprivileged agent, which maps one id and has no pool. */
export type IdPool = { start: number; count: number } | null;

/** Throws ID_RANGE_REFUSED unless the range is one of the pool's and nobody else's on this host. */
export function checkIdRange(
  desired: Pick<DesiredPlacement, 'name' | 'idRange' | 'spec'>,
  pool: IdPool,
  owner: Owner,
  taken: Iterable<Pick<DesiredPlacement, 'name' | 'idRange' | 'spec'>>,
): void {
  const { idRange, name, spec } = desired;
  const refuse = (reason: string, remedy?: string) =>
    new NsfleetError('ID_RANGE_REFUSED', {
      attempted: 'give ids to sandbox',
      target: name,
      reason,
      ...(remedy === undefined ? {} : { remedy }),
    });
  if (pool === null) {
    if (idRange !== null) throw refuse(`this agent is no root and cannot map the range at ${idRange.start}`);
    if (spec.idMaps !== undefined) throw refuse('this agent is no root and maps one id only, its own', 'run the agent as root');
    return;
  }
  if (idRange === null) throw refuse('no range was chosen for it');
  const { start, count } = idRange;
  const end = pool.start + pool.count * idRangeSize;
  if (count !== idRangeSize || start < pool.start || start + count > end || (start - pool.start) % idRangeSize !== 0) {
    throw refuse(`${start}:${count} is no range of this host’s pool (${pool.count} of ${idRangeSize} from ${pool.start})`);
  }
  if (spec.idMaps !== undefined) {
    const problems = mapProblems(spec.idMaps, spec.user ?? { uid: 0 }, owner);
    if (problems.length > 0) throw refuse(problems.join('; '), 'correct the id maps');
  }
  const own = ownIds(spec, idRange);
  for (const other of taken) {
    const shared = ownIds(other.spec, other.idRange).find((ids) => own.some((one) => overlaps(ids, one)));
    if (shared !== undefined) throw refuse(`${shared.start}:${shared.count} belongs to sandbox ${other.name}`);
  }
}
