export interface MetricEntry {
  /** Without the common prefix, and a counter's `_total`. */
  name: string;
  kind: 'counter' | 'gauge' | 'histogram';
  /** What tells its series apart: few, known values. */
  labels: readonly string[];
  /** With METRICS_BY_WORKSPACE it is counted for each workspace apart, with the label `workspace`. */
  isByWorkspace?: true;
  /** The table row in docs/operating.md. */
  help: string;
}

/** Every metric, written once: docs/operating.md and `/metrics` are held to it. */
export const METRICS = [
  {
    name: 'inbound_events',
    kind: 'counter',
    labels: ['kind', 'outcome', 'reason'],
    isByWorkspace: true,
    help: 'Events from Slack by outcome, in the words of the log.',
  },
  {
    name: 'turns',
    kind: 'counter',
    labels: ['outcome'],
    isByWorkspace: true,
    help: 'Turns that ended: done, stopped, failed, interrupted.',
  },
  {
    name: 'turn_first_text_seconds',
    kind: 'histogram',
    labels: [],
    help: 'Time from the start of a turn until Slack had its first text.',
  },
  {
    name: 'turn_seconds',
    kind: 'histogram',
    labels: [],
    help: 'Time from the start of a turn until Slack had all of it.',
  },
  {
    name: 'api_calls',
    kind: 'counter',
    labels: ['method', 'result'],
    isByWorkspace: true,
    help: 'Web API calls: ok, refused, limited (HTTP 429), unknown (no usable answer).',
  },
  {
    name: 'refused_posts',
    kind: 'counter',
    labels: ['form'],
    isByWorkspace: true,
    help: 'Posts that Slack refused as rendered, by the form that it then took: unplanned, smaller, mrkdwn, plain, none of them.',
  },
  {
    name: 'native_streams',
    kind: 'counter',
    labels: ['end'],
    isByWorkspace: true,
    help: 'Native streams in direct messages by their end: whole, idle (the message then shows what the agent does), edited (earlier text changed), failed.',
  },
  {
    name: 'feedback',
    kind: 'counter',
    labels: ['verdict'],
    isByWorkspace: true,
    help: 'Clicks below answers: good, bad.',
  },
  {
    name: 'tokens',
    kind: 'counter',
    labels: ['kind', 'model'],
    isByWorkspace: true,
    help: 'Tokens of turns that ended: input (what the model read), cached (of that, from its cache), output. At most 50 models by name, then `other`.',
  },
  {
    name: 'turn_context',
    kind: 'counter',
    labels: ['percent'],
    isByWorkspace: true,
    help: 'Turns that ended, by how full the model’s context was then: 0-49, 50-84, 85-100, unknown.',
  },
  {
    name: 'compactions',
    kind: 'counter',
    labels: [],
    isByWorkspace: true,
    help: 'Summaries that Letta put in place of earlier messages during turns, because the context was full; without those that `!compact` asked for.',
  },
  { name: 'queue_depth', kind: 'gauge', labels: [], isByWorkspace: true, help: 'Queued messages.' },
  {
    name: 'open_approvals',
    kind: 'gauge',
    labels: [],
    isByWorkspace: true,
    help: 'Approvals and questions that are waiting for people.',
  },
  { name: 'live_threads', kind: 'gauge', labels: [], isByWorkspace: true, help: 'Threads that are active.' },
  { name: 'socket_reconnects', kind: 'counter', labels: ['why'], help: 'Socket Mode: renewed, lost, deaf, counted.' },
  {
    name: 'socket_foreign_connections',
    kind: 'gauge',
    labels: [],
    help: 'Connections of other processes with this app token; more than 0 means that they receive some of the messages.',
  },
  {
    name: 'letta_reconnects',
    kind: 'counter',
    labels: [],
    isByWorkspace: true,
    help: 'Connections to Letta that were lost and came back.',
  },
  { name: 'devices_online', kind: 'gauge', labels: [], help: 'With `LETTA_LISTEN`: machines that have dialled in.' },
  { name: 'ready', kind: 'gauge', labels: ['part'], help: '1 or 0: slack, letta, store, as in `/readyz`.' },
] as const satisfies readonly MetricEntry[];

type NameOf<Kind extends MetricEntry['kind']> = Extract<(typeof METRICS)[number], { kind: Kind }>['name'];

export type CounterName = NameOf<'counter'>;
export type GaugeName = NameOf<'gauge'>;
export type HistogramName = NameOf<'histogram'>;
