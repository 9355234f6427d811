/** The scheduler's decision in lines. */
import type { Decision } from '#shared/resources.ts';

/** Where and why, why not elsewhere. */
export function decisionLines(decision: Decision): string[] {
  const { hostsSeen, hostsFeasible, refusals, scores, chosen } = decision;
  const chosenName = scores.find((score) => score.hostId === chosen)?.hostName ?? chosen;
  return [
    `${chosen === null ? 'no host' : `on ${chosenName}`}: ${hostsFeasible} of ${hostsSeen} hosts can take it`,
    ...refusals.map(({ filter, reason, hosts }) => `refused by ${filter}: ${hosts} ${hosts === 1 ? 'host' : 'hosts'}: ${reason}`),
    ...scores.map(({ hostName, score, parts }) => `score of ${hostName}: ${round(score)} (${partsText(parts)})`),
  ];
}

function partsText(parts: Readonly<Record<string, number>>): string {
  return Object.entries(parts)
    .map(([name, value]) => `${name} ${round(value)}`)
    .join(', ');
}

function round(value: number): number {
  return Number(value.toFixed(3));
}
