import type { Clock, Metrics } from '../bridge/ports.ts';
import { noMetrics } from '../ops/metrics.ts';
import type { BotReport } from '../slack/api/inspect.ts';
import { createSelfTest, type SelfTestStep, type SelfTestWaits } from '../slack/api/self-test.ts';
import type { Accept, Transport } from '../slack/receiver/transport.ts';
import type { PostgresProcess } from '../storage/postgres/inspect.ts';
import { type AddFinding, fine, trouble } from './report.ts';
import { openTransport, rejectDelivery, type SlackParts } from './slack.ts';

/** The bridge that already runs on this store. */
export interface RunningBridge {
  /** Who it is, as text for people. */
  holder: string;
  checks(): Promise<{ name: string; ok: boolean; state: string; foreign?: number | undefined }[]>;
  selfTest(channel: string, waits: SelfTestWaits, onStep: (step: SelfTestStep) => void): Promise<void>;
}

export interface EventParts extends SlackParts {
  bot: BotReport;
  bridge: RunningBridge | null;
  /** Processes that share the store, on any machine. */
  processes: readonly PostgresProcess[];
  /** The channel for the self-test; `null`: no self-test. */
  channel: string | null;
  /** ms that the socket may take to connect. */
  connectMs: number;
  waits: SelfTestWaits;
  /** Called when the button is posted: now somebody can click it. */
  onPosted(): void;
}

/**
 * Checks that Slack's deliveries arrive: the socket connects, our own message comes back, a click arrives. If a bridge
 * is running, the check goes through it: Slack sends each delivery to only one connection, so a connection of our own
 * would take people's messages from the bridge. Processes that share a store cannot be asked, only what they told it.
 */
export async function checkEvents(parts: EventParts, addFinding: AddFinding): Promise<void> {
  if (parts.processes.length > 0) return addSharedFindings(parts, addFinding);
  await (parts.bridge === null
    ? checkOwnConnection(parts, addFinding)
    : checkThroughBridge(parts, parts.bridge, addFinding));
}

function addSharedFindings({ config, processes }: EventParts, addFinding: AddFinding): void {
  if (config.slack.mode.kind === 'socket') {
    const sum = processes.reduce((all, { sockets }) => all + (sockets ?? 0), 0);
    if (sum > 0) addFinding(fine('socket', `running processes: ${processes.length}, with connections: ${sum}`));
    for (const { name, sockets } of processes) {
      if (sockets === 0) addFinding(trouble('process_unconnected', { process: name }));
    }
  }
  addFinding(trouble('not_tried_shared', { count: processes.length }));
}

async function checkThroughBridge(parts: EventParts, bridge: RunningBridge, addFinding: AddFinding): Promise<void> {
  const { channel, waits, bot, onPosted } = parts;
  try {
    const checks = await bridge.checks();
    const store = checks.find(({ name }) => name === 'store');
    if (store && !store.ok) addFinding(trouble('store_failing', { holder: bridge.holder, state: store.state }));
    const slack = checks.find(({ name }) => name === 'slack');
    if (slack?.foreign) addFinding(trouble('foreign_connections', { count: slack.foreign }));
    else if (slack?.ok) addFinding(fine('socket', `the running bridge (${bridge.holder}) is ${slack.state}`));
    else addFinding(trouble('socket_closed'));
    if (channel === null) return addFinding(trouble('not_tried'));
    await bridge.selfTest(channel, waits, (step) => addStepFinding(step, { channel, bot, onPosted }, addFinding));
  } catch {
    addFinding(trouble('bridge_unreachable', { holder: bridge.holder }));
  }
}

async function checkOwnConnection(parts: EventParts, addFinding: AddFinding): Promise<void> {
  const { config, clock, channel, waits, connectMs, bot, onPosted } = parts;
  const isSocket = config.slack.mode.kind === 'socket';
  // Over HTTP there is nothing to connect to: listen only when the self-test will cause a delivery.
  if (!isSocket && channel === null) return addFinding(trouble('not_tried'));
  let foreign = 0;
  const metrics: Metrics = {
    ...noMetrics,
    gauge(name, value) {
      if (name === 'socket_foreign_connections') foreign = value;
    },
  };
  const transport = openTransport(parts, metrics);
  const selfTest = createSelfTest(parts);
  try {
    const accept: Accept = (envelope) =>
      selfTest.noteDelivery(envelope) ? Promise.resolve(undefined) : rejectDelivery(envelope);
    if (!(await tryConnect(transport, accept, clock, connectMs))) return addFinding(trouble('socket_closed'));
    if (isSocket)
      addFinding(foreign > 0 ? trouble('foreign_connections', { count: foreign }) : fine('socket', 'connects'));
    if (channel === null) return addFinding(trouble('not_tried'));
    // With other connections Slack may send the event to any of them, so the test would prove nothing.
    if (foreign > 0) return;
    await selfTest.run(channel, waits, (step) => addStepFinding(step, { channel, bot, onPosted }, addFinding));
  } finally {
    await transport.stop();
  }
}

async function tryConnect(transport: Transport, accept: Accept, clock: Clock, withinMs: number): Promise<boolean> {
  const late = Promise.withResolvers<false>();
  const timer = clock.after(withinMs, () => late.resolve(false));
  const started = transport.start(accept).then(
    () => true,
    () => false,
  );
  const connected = await Promise.race([started, late.promise]);
  timer.cancel();
  return connected;
}

function addStepFinding(
  step: SelfTestStep,
  { channel, bot, onPosted }: { channel: string; bot: BotReport; onPosted(): void },
  addFinding: AddFinding,
): void {
  if (step.step === 'posted') onPosted();
  if (step.step === 'event') addFinding(fine('events', 'the bot’s own message came back'));
  if (step.step === 'clicked') addFinding(fine('events', 'a click arrived'));
  if (step.step !== 'failed') return;
  if (step.what === 'post') addFinding(trouble('post_refused', { channel, error: step.error, bot: bot.botName }));
  else addFinding(trouble(step.what === 'event' ? 'no_event' : 'no_click'));
}
