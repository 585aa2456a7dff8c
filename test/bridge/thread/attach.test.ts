import { describe, expect, it } from 'vitest';
import { createMiddle, type Middle, TEAM, THREAD } from '../../support/middle.ts';

const runtime = { agentId: 'agent-1', conversationId: 'local-conv-7', deviceId: null };
const by = { id: 'U03CARA', team: TEAM, kind: 'member', name: 'Cara' } as const;
const address = { team: TEAM, channel: 'C01GEN', threadTs: THREAD.split(':')[2] ?? '' };

const attach = (middle: Middle, told: readonly string[] = []) =>
  middle.workers.attach(THREAD, {
    name: 'attach',
    by,
    runtime,
    address,
    told,
    isNew: true,
    isTold: told.length > 0,
    titled: { id: 'local-conv-7', title: null, agentName: null },
  });

const detach = (middle: Middle) => middle.workers.get(THREAD).command({ name: 'detach', by });

describe('a thread that gets a conversation of another program', () => {
  it('links to it at once, and has it on disk', async () => {
    const middle = createMiddle();
    expect(await attach(middle, ['1000.000001'])).toBe('');
    expect(middle.record()).toMatchObject({
      runtime,
      participants: ['U03CARA'],
      known: { upTo: address.threadTs, also: ['1000.000001'] },
    });
    await middle.clock.settle();
    expect(middle.connection.options.runtime).toEqual(runtime);
    expect(middle.surface.said.at(-1)?.text).toContain('Reply here to go on with it');
  });

  it('shows as missed only what follows unheard, not what was there', async () => {
    const middle = createMiddle();
    await attach(middle);
    await middle.clock.settle();
    middle.connection.past = [
      { kind: 'user', id: 'u-old', clientMessageId: 'prog-old', text: 'long ago' },
      { kind: 'assistant', id: 'a-old', text: 'Long ago.' },
    ];
    middle.connection.ready({ runtime, newestItem: 'a-old' });
    await middle.clock.settle();
    expect(middle.surface.turns).toHaveLength(0);
    expect(middle.record().clients).toEqual({ shown: [], from: 'a-old', newest: 'a-old' });
    const { past } = middle.connection;
    await middle.clock.advance(10 * 60_000);
    expect(middle.connection.isClosed).toBe(true);
    await middle.write('go on', { user: by.id });
    middle.connection.past = [
      ...past,
      { kind: 'user', id: 'u-new', clientMessageId: 'prog-new', text: 'just now' },
      { kind: 'assistant', id: 'a-new', text: 'Just now.' },
    ];
    middle.connection.ready({ runtime, newestItem: 'a-new' });
    await middle.clock.settle();
    const shown = JSON.stringify(middle.surface.views);
    expect([shown.includes('Just now.'), shown.includes('Long ago.')]).toEqual([true, false]);
    expect(middle.connection.submitted).toHaveLength(1);
  });

  it('has a conversation already: keeps it', async () => {
    const middle = createMiddle();
    await attach(middle);
    const before = middle.record();
    expect(await attach(middle)).toContain('has a conversation already');
    expect(middle.record()).toEqual(before);
  });
});

describe('a thread that gives its conversation up', () => {
  it('closes its link, and the next message begins another one', async () => {
    const middle = createMiddle();
    await attach(middle);
    await middle.clock.settle();
    middle.connection.ready({ runtime });
    await middle.clock.settle();
    expect(await detach(middle)).toBe('');
    expect(middle.record().runtime).toBeNull();
    expect(middle.connection.isClosed).toBe(true);
    expect(middle.surface.said.at(-1)?.text).toContain('`!attach local-conv-7`');
    await middle.write('hello');
    expect(middle.connection.options.runtime).toBeNull();
  });

  it('has none: says so', async () => {
    expect(await detach(createMiddle())).toContain('no conversation here');
  });

  it('works: is asked to stop first', async () => {
    const middle = createMiddle();
    await middle.write('build it');
    middle.connection.ready();
    await middle.clock.settle();
    expect(await detach(middle)).toContain('`!stop` first');
  });
});
