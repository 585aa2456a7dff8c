import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runs } from '../support/runs.ts';
import { command, createStage, event, type StagedReplica } from './stage.ts';

const WORKSPACES = ['T01', 'T02', 'T03'];
const NAMES = ['a', 'b', 'c'];

const replica = fc.constantFrom(...NAMES);
const workspace = fc.constantFrom(...WORKSPACES);
const fault = fc.oneof(
  fc.record({ do: fc.constantFrom('cut', 'heal', 'freeze', 'thaw', 'kill', 'drain'), at: replica }),
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('event', 'command'), at: replica, workspace }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait'), ms: fc.integer({ min: 10, max: 30_000 }) }) },
);

/** A process that was killed or has ended is replaced by a new one, as a supervisor does. */
async function play(steps: readonly Record<string, unknown>[], isConfigured: boolean) {
  const stage = createStage(WORKSPACES, isConfigured ? { configured: 'T01' } : {});
  const { clock, database } = stage;
  const living = new Map<string, StagedReplica>();
  const everybody: StagedReplica[] = [];
  const frozen = new Set<StagedReplica>();
  let births = 0;
  const begin = async (name: string) => {
    births += 1;
    const born = stage.replica(`${name}${births}`);
    born.handle = async (_, { body }) => born.wait((Number(body.n) % 4) * 900).then(() => undefined);
    living.set(name, born);
    everybody.push(born);
    await born.keeper.start();
  };
  for (const name of NAMES) await begin(name);
  await clock.advance(1_000);

  const acked: string[] = [];
  const told: { n: number; reply: unknown }[] = [];
  const pending: Promise<unknown>[] = [];
  let n = 0;
  for (const step of steps) {
    const at = living.get(String(step.at));
    switch (step.do) {
      case 'wait':
        // In small steps, so that whoever is at work can be looked at.
        for (let ms = 0; ms < Number(step.ms); ms += 500) {
          await clock.advance(500);
          for (const id of WORKSPACES) {
            const owners = everybody.filter((each) => !frozen.has(each) && each.keeper.find(id) !== null);
            expect(owners.map(({ name }) => name).length, `${id} is served once`).toBeLessThan(2);
          }
        }
        break;
      case 'cut':
        at?.cut();
        break;
      case 'heal':
        at?.heal();
        break;
      case 'freeze':
        if (at) {
          at.freeze();
          frozen.add(at);
        }
        break;
      case 'thaw':
        if (at) {
          frozen.delete(at);
          at.thaw();
        }
        break;
      case 'kill':
        at?.kill();
        at?.freeze();
        if (at) frozen.add(at);
        await begin(String(step.at));
        break;
      case 'drain':
        if (at && frozen.has(at)) break;
        pending.push(at?.keeper.drain(0) ?? Promise.resolve());
        await clock.advance(100);
        await begin(String(step.at));
        break;
      default: {
        if (!at || frozen.has(at)) break;
        n += 1;
        const [id, own] = [String(step.workspace), n];
        const delivered = step.do === 'event' ? at.deliver(event(id, own)) : at.deliver(command(id, own));
        const noted = delivered.then(
          (reply) => (step.do === 'event' ? acked.push(`${id} took ${own}`) : told.push({ n: own, reply })),
          () => undefined,
        );
        pending.push(noted);
        await clock.settle();
      }
    }
  }
  for (const each of everybody) each.heal();
  for (const each of [...living.values()]) {
    if (!frozen.has(each)) continue;
    frozen.delete(each);
    each.thaw();
  }
  await clock.advance(15 * 60_000);
  const happened = everybody.flatMap((each) => each.happened);
  return { everybody, database, acked, told, happened };
}

describe('replicas under random faults', () => {
  it('lose no event, and let nothing leave without a lease', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fault, { maxLength: 30 }), fc.boolean(), async (steps, isConfigured) => {
        const { everybody, acked, told, happened, database } = await play(steps, isConfigured);
        for (const each of acked) expect(happened, each).toContain(each);
        for (const { n, reply } of told) {
          const times = happened.filter((each) => each.endsWith(` took ${n}`)).length;
          const text = JSON.stringify(reply ?? '');
          expect(times, `command ${n}, at all`).toBeLessThan(2);
          if (text.includes('nothing happened')) expect(times, `command ${n}, told that nothing happened`).toBe(0);
          else if (!text.includes('Check whether')) expect(times, `command ${n}, answered`).toBe(1);
        }
        expect(everybody.flatMap(({ stray }) => stray)).toEqual([]);
        expect(database.inbound).toEqual([]);
      }),
      { numRuns: runs(200) },
    );
  });
});
