/** The doctor's findings as text: what is wrong first. Pure. */
import type { DoctorReport } from './doctor.ts';

const order = ['missing', 'limited', 'ok'] as const;

/** One line a finding, and below it what mends it. `escape`: for what another host has said. */
export function formatFindings({ findings }: Pick<DoctorReport, 'findings'>, escape: (text: string) => string = (text) => text): string {
  const width = Math.max(...findings.map(({ id }) => id.length), 0);
  const lines = order.flatMap((wanted) =>
    findings
      .filter(({ state }) => state === wanted)
      .flatMap(({ id, state, detail, remedy }) => [
        `${state.padEnd(8)}${escape(id).padEnd(width + 2)}${escape(detail)}`,
        ...(remedy === null ? [] : [`${' '.repeat(width + 10)}→ ${escape(remedy)}`]),
      ]),
  );
  return lines.map((line) => `${line}\n`).join('');
}

/** Something that sandboxes or the inventory need is not there. */
export function isLacking({ findings }: Pick<DoctorReport, 'findings'>): boolean {
  return findings.some(({ state }) => state === 'missing');
}
