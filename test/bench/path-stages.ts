/** Where the time of one create went, told by the controller's own histograms: what each grew by between two looks at /metrics. */

/** Sum and count of every histogram, by name and labels as they stand in the text. */
export type Sums = ReadonlyMap<string, number>;

export function sumsOf(metricsText: string): Sums {
  const lines = metricsText.matchAll(/^(\w+_(?:sum|count)(?:\{[^}]*\})?) (\S+)$/gm);
  return new Map([...lines].map(([, name = '', value]) => [name, Number(value)]));
}

export const pathStages = [
  'client and wire, both ways',
  'read, check, answer',
  'decide',
  'commit 1: placed',
  'send',
  'NATS, both ways',
  'the agent alone',
  'commit 2: running',
] as const;
export type PathStage = (typeof pathStages)[number];

/** Milliseconds of each stage of the one create that lies between the two looks and took `totalMs`; null where it told no `running`. */
export function stagesBetween(before: Sums, after: Sums, totalMs: number): Record<PathStage, number> | null {
  const grown = (name: string, label: string, what: 'sum' | 'count') => {
    const key = [...after.keys()].find((known) => known.startsWith(`${name}_${what}{`) && known.includes(label)) ?? '';
    return (after.get(key) ?? 0) - (before.get(key) ?? 0);
  };
  const ms = (name: string, label: string) => grown(name, label, 'sum') * 1000;
  const stage = (name: string) => ms('nsfleet_create_stage_seconds', `stage="${name}"`);
  if (grown('nsfleet_host_seconds', 'state="running"', 'count') !== 1) return null;
  const request = ms('nsfleet_http_request_duration_seconds', 'method="POST",route="/v1/sandboxes"');
  const agent = ms('nsfleet_host_seconds', 'state="running"');
  const status = ms('nsfleet_status_seconds', 'state="running"');
  return {
    'client and wire, both ways': totalMs - request,
    'read, check, answer': request - stage('running'),
    decide: stage('scheduled'),
    'commit 1: placed': stage('committed') - stage('scheduled'),
    send: stage('sent') - stage('committed'),
    'NATS, both ways': stage('running') - stage('sent') - agent - status,
    'the agent alone': agent,
    'commit 2: running': status,
  };
}
