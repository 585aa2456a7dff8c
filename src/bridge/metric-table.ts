export interface MetricEntry {
  /** Without the common prefix, and a counter's `_total`. */
  name: string;
  kind: 'counter' | 'gauge' | 'histogram';
  /** What tells its series apart: few, known values. */
  labels: readonly string[];
  /** The README's table row. */
  help: string;
}

/** Every metric, written once: README and `/metrics` are held to it. */
export const METRICS = [
  {
    name: 'inbound_events',
    kind: 'counter',
    labels: ['kind', 'outcome', 'reason'],
    help: 'What came from Slack, and what became of it: the same words as in the log.',
  },
  {
    name: 'turns',
    kind: 'counter',
    labels: ['outcome'],
    help: 'Turns that ended: done, stopped, failed, interrupted.',
  },
  {
    name: 'turn_first_text_seconds',
    kind: 'histogram',
    labels: [],
    help: 'From the start of a turn until Slack had its first text.',
  },
  { name: 'turn_seconds', kind: 'histogram', labels: [], help: 'From the start of a turn until Slack had all of it.' },
  {
    name: 'api_calls',
    kind: 'counter',
    labels: ['method', 'result'],
    help: 'Web API calls: ok, refused, limited (HTTP 429), unknown (no usable answer).',
  },
  {
    name: 'refused_posts',
    kind: 'counter',
    labels: ['form'],
    help: 'Posts that Slack refused as rendered, by the form that it then took: smaller, mrkdwn, plain, none of them.',
  },
  { name: 'queue_depth', kind: 'gauge', labels: [], help: 'Messages that wait for their turn.' },
  { name: 'open_approvals', kind: 'gauge', labels: [], help: 'Approvals and questions that wait for people.' },
  { name: 'live_threads', kind: 'gauge', labels: [], help: 'Threads in which something happens.' },
  { name: 'socket_reconnects', kind: 'counter', labels: ['why'], help: 'Socket Mode: renewed, lost, deaf, counted.' },
  {
    name: 'socket_foreign_connections',
    kind: 'gauge',
    labels: [],
    help: 'Sockets of other processes with our app token; more than 0 means that messages are lost to them.',
  },
  { name: 'letta_reconnects', kind: 'counter', labels: [], help: 'Links to Letta that were lost and came back.' },
  { name: 'ready', kind: 'gauge', labels: ['part'], help: '1 or 0: slack, letta, store, as in `/readyz`.' },
] as const satisfies readonly MetricEntry[];

type NameOf<Kind extends MetricEntry['kind']> = Extract<(typeof METRICS)[number], { kind: Kind }>['name'];

export type CounterName = NameOf<'counter'>;
export type GaugeName = NameOf<'gauge'>;
export type HistogramName = NameOf<'histogram'>;
