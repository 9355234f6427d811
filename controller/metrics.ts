/** What /metrics shows. Each controller has an own registry, so that two in one process (tests) do not mix. */
import { Counter, Gauge, Histogram, Registry } from '@prometheus-io/client';

/** From a tenth of the whole path's budget (10 ms) to the longest wait. */
const createBuckets = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const requestBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export const createStages = ['scheduled', 'committed', 'sent', 'running'] as const;
export type CreateStage = (typeof createStages)[number];

/** `onScrape` fills the gauges that come from elsewhere (the database) when somebody looks. */
export function createMetrics(onScrape: (metrics: Pick<Metrics, 'hosts' | 'sandboxes'>) => Promise<void> = async () => undefined) {
  const registry = new Registry();
  const registers = [registry];
  const hosts: Gauge<'status'> = new Gauge({
    name: 'nsfleet_hosts',
    help: 'Hosts by status',
    labelNames: ['status'],
    registers,
    collect: () => onScrape({ hosts, sandboxes }),
  });
  const sandboxes: Gauge<'state'> = new Gauge({ name: 'nsfleet_sandboxes', help: 'Sandboxes by state', labelNames: ['state'], registers });
  return {
    registry,
    hosts,
    sandboxes,
    requestSeconds: new Histogram({
      name: 'nsfleet_http_request_duration_seconds',
      help: 'HTTP requests by route and status',
      labelNames: ['method', 'route', 'status'],
      buckets: requestBuckets,
      registers,
    }),
    messages: new Counter({
      name: 'nsfleet_messages_total',
      help: 'Messages of agents by name and outcome: ok, or the code of the refusal',
      labelNames: ['name', 'outcome'],
      registers,
    }),
    reports: new Counter({
      name: 'nsfleet_reports_total',
      help: 'Pages of inventory reports by kind and result',
      labelNames: ['kind', 'result'],
      registers,
    }),
    refusedReports: new Counter({
      name: 'nsfleet_reports_refused_total',
      help: 'Pages of inventory reports that were refused, by code',
      labelNames: ['code'],
      registers,
    }),
    placements: new Counter({
      name: 'nsfleet_placements_total',
      help: 'Requests for a placement by outcome: placed, repeated, full (lost a race), refused',
      labelNames: ['outcome'],
      registers,
    }),
    createSeconds: new Histogram({
      name: 'nsfleet_create_stage_seconds',
      help: 'Time from the request for a sandbox until each stage was reached',
      labelNames: ['stage'],
      buckets: createBuckets,
      registers,
    }),
    hostSeconds: new Histogram({
      name: 'nsfleet_host_seconds',
      help: 'Time that hosts took from hearing a wish until they told the state, by state',
      labelNames: ['state'],
      buckets: createBuckets,
      registers,
    }),
    statusSeconds: new Histogram({
      name: 'nsfleet_status_seconds',
      help: 'Time from hearing a new state of a placement until it was committed, by state',
      labelNames: ['state'],
      buckets: createBuckets,
      registers,
    }),
    sent: new Counter({
      name: 'nsfleet_desired_sent_total',
      help: 'Desired placements sent to hosts, by reason',
      labelNames: ['reason'],
      registers,
    }),
    streams: new Gauge({ name: 'nsfleet_streams', help: 'Open exec and log streams', labelNames: ['kind'], registers }),
  };
}

export type Metrics = {
  registry: Registry;
  hosts: Gauge<'status'>;
  sandboxes: Gauge<'state'>;
  requestSeconds: Histogram<'method' | 'route' | 'status'>;
  messages: Counter<'name' | 'outcome'>;
  reports: Counter<'kind' | 'result'>;
  refusedReports: Counter<'code'>;
  placements: Counter<'outcome'>;
  createSeconds: Histogram<'stage'>;
  hostSeconds: Histogram<'state'>;
  statusSeconds: Histogram<'state'>;
  sent: Counter<'reason'>;
  streams: Gauge<'kind'>;
};
