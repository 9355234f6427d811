/** An archive or image that is not taken, with the step at which that was found. */
import { NsfleetError } from '#shared/errors.ts';

/** IMAGE_REFUSED. `step`: what was being done (`read header`, `verify`, `file`), `reason` with the name of the entry where there is one. */
export function refusal(target: string, step: string, reason: string, cause?: unknown): NsfleetError {
  return new NsfleetError('IMAGE_REFUSED', { attempted: 'unpack', target, reason: `${step}: ${reason}`, cause });
}

/** A problem of an archive's content, told without its name, which only the caller knows. */
export class ArchiveError extends Error {
  override readonly name = 'ArchiveError';
  readonly step: string;

  constructor(step: string, reason: string) {
    super(reason);
    this.step = step;
  }
}
