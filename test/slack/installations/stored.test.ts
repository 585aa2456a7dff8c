import { describe, expect, it } from 'vitest';
import type { InstallationChange } from '../../../src/slack/installations/installations.ts';
import { installationsStage, KEY, memoryRows, sealerOf } from './stage.ts';

const team = (teamId: string) => ({ teamId, enterpriseId: null, isEnterpriseInstall: false });
const org = (enterpriseId: string, teamId: string | null = 'T1') => ({
  teamId,
  enterpriseId,
  isEnterpriseInstall: true,
});
const NEW_KEY = new Uint8Array(32).fill(9);

describe('a stored installation', () => {
  it('is found by its team, with its token', async () => {
    const { installations, install } = await installationsStage();
    const token = await install('T1');
    const found = await installations.find(team('T1'));
    expect(found).toMatchObject({ workspace: 'T1', source: 'oauth', teamId: 'T1', isEnterpriseInstall: false });
    expect(await found?.openToken(() => true).get()).toBe(token);
    expect(await installations.find(team('T2'))).toBeNull();
    expect(await installations.find({ ...team('T1'), teamId: null })).toBeNull();
  });

  it('of an organisation: found by the organisation, not by a team', async () => {
    const { installations, install } = await installationsStage();
    await install('E1');
    expect(await installations.find(org('E1'))).toMatchObject({ workspace: 'E1', teamId: null });
    expect(await installations.find(org('E1', null))).toMatchObject({ workspace: 'E1' });
    expect(await installations.find(team('T1'))).toBeNull();
  });

  it('has no readable token in its row, nor in the log', async () => {
    const { rows, log, install } = await installationsStage({ isRotated: true });
    const token = await install('T1');
    const row = JSON.stringify(await rows.get('T1'));
    expect(row).toContain('"sealed":"s1.');
    for (const place of [row, JSON.stringify(log.lines)]) {
      expect(place).not.toContain(token);
      expect(place).not.toContain('xox');
    }
  });

  it('copied into the row of another workspace: its token does not open', async () => {
    const { rows, installations, install } = await installationsStage();
    await install('T1');
    const row = (await rows.get('T1')) as Record<string, unknown>;
    await rows.set('T2', { ...row, workspace: 'T2' });
    await expect(installations.get('T2')).rejects.toMatchObject({ code: 'seal_broken' });
    await rows.set('T3', row);
    await expect(installations.get('T3')).rejects.toMatchObject({ code: 'store_failed' });
  });

  it('of a newer bridge is refused, not guessed', async () => {
    const { rows, installations, install } = await installationsStage();
    await install('T1');
    await rows.set('T1', { ...((await rows.get('T1')) as object), version: 2 });
    await expect(installations.get('T1')).rejects.toMatchObject({ code: 'record_newer' });
  });

  it('made again replaces the former, and is told', async () => {
    const { installations, install, tokens } = await installationsStage();
    const changes: InstallationChange[] = [];
    const stop = installations.onChanged((change) => changes.push(change));
    await install('T1');
    tokens.uninstall('T1');
    const token = await install('T1');
    expect(await (await installations.get('T1'))?.openToken(() => true).get()).toBe(token);
    stop();
    await install('T2');
    expect(changes).toEqual(['T1', 'T1'].map((workspace) => ({ kind: 'installed', workspace })));
  });

  it('is not overwritten by one that was read before it', async () => {
    const { installations, install, rows } = await installationsStage();
    await install('T1');
    const held = await installations.read('T1');
    const token = await install('T1');
    if (held) expect(await installations.change(held, { isRefreshLost: true })).toBeNull();
    expect(await rows.get('T1')).toMatchObject({ isRefreshLost: false });
    expect((await installations.read('T1'))?.tokens.bot).toBe(token);
  });
});

describe('an uninstalled app', () => {
  it('is removed once Slack no longer accepts its token', async () => {
    const { installations, install, tokens, rows } = await installationsStage();
    const changes: InstallationChange[] = [];
    await install('T1');
    installations.onChanged((change) => changes.push(change));
    tokens.uninstall('T1');
    expect(await installations.removeIfRevoked('T1')).toBe(true);
    expect(await rows.get('T1')).toBeUndefined();
    expect(changes).toEqual([{ kind: 'removed', workspace: 'T1' }]);
    // The event comes twice, or the process died before it had deleted the rest.
    expect(await installations.removeIfRevoked('T1')).toBe(true);
  });

  it('is remembered until the rest of its workspace is deleted', async () => {
    const { installations, install, tokens } = await installationsStage();
    await install('T1');
    tokens.uninstall('T1');
    await installations.removeIfRevoked('T1');
    expect(await installations.listRemoved()).toEqual(['T1']);
    expect([await installations.isRemoved('T1'), await installations.isRemoved('T2')]).toEqual([true, false]);
    await installations.forgetRemoved('T1');
    expect(await installations.listRemoved()).toEqual([]);
    await installations.forgetRemoved('T1');
  });

  it('told of late, after it was installed again: stays', async () => {
    const { installations, install, tokens } = await installationsStage();
    await install('T1');
    tokens.uninstall('T1');
    const token = await install('T1');
    expect(await installations.removeIfRevoked('T1')).toBe(false);
    expect((await installations.read('T1'))?.tokens.bot).toBe(token);
  });

  it('while Slack does not answer: nothing is deleted', async () => {
    const { installations, install, tokens, side, rows } = await installationsStage();
    await install('T1');
    tokens.uninstall('T1');
    side.isAway = true;
    await expect(installations.removeIfRevoked('T1')).rejects.toMatchObject({ failure: 'unknown' });
    expect(await rows.get('T1')).toBeDefined();
  });

  it('told because its token was rotated: stays, with the next token', async () => {
    const { installations, install, isLive, clock } = await installationsStage({ isRotated: true });
    const token = await install('T1');
    await clock.advance(13 * 60 * 60_000);
    expect(isLive(token)).toBe(false);
    expect(await installations.removeIfRevoked('T1')).toBe(false);
    expect(isLive((await installations.read('T1'))?.tokens.bot ?? '')).toBe(true);
  });

  it('with rotated tokens: removed when its refresh token is refused, too', async () => {
    const { installations, install, tokens, rows } = await installationsStage({ isRotated: true });
    await install('T1');
    tokens.uninstall('T1');
    expect(await installations.removeIfRevoked('T1')).toBe(true);
    expect(await rows.get('T1')).toBeUndefined();
  });
});

describe('the encryption key of the store', () => {
  it('wrong: refused at the start, with what to do', async () => {
    const { installations, make, rows } = await installationsStage();
    await installations.checkKey();
    await installations.checkKey();
    const wrong = make(rows, sealerOf(NEW_KEY));
    await expect(wrong.checkKey()).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('ENCRYPTION_KEY_OLD'),
    });
  });

  it('replaced: rows are sealed again as they are read', async () => {
    const { installations, install, make, rows } = await installationsStage();
    const tokens = [await install('T1'), await install('T2')];
    await installations.checkKey();
    const both = make(rows, sealerOf(NEW_KEY, KEY));
    await both.checkKey();
    expect((await both.read('T1'))?.tokens.bot).toBe(tokens[0]);
    const onlyNew = make(rows, sealerOf(NEW_KEY));
    await onlyNew.checkKey();
    expect((await onlyNew.read('T1'))?.tokens.bot).toBe(tokens[0]);
    await expect(onlyNew.read('T2')).rejects.toMatchObject({ code: 'seal_broken' });
    await rows.set('T3', { ...((await rows.get('T2')) as object), workspace: 'T3' });
    const { signal } = new AbortController();
    expect(await both.sealAgain(async () => undefined, signal)).toEqual({ rows: 3, broken: 1 });
    expect((await onlyNew.read('T2'))?.tokens.bot).toBe(tokens[1]);
  });

  it('replaced while another process writes: neither write is lost', async () => {
    const rows = await memoryRows();
    const stage = await installationsStage({ rows });
    await stage.install('T1');
    let between: (() => Promise<unknown>) | null = null;
    const slow = {
      ...rows,
      async swap(key: string, expected: unknown, value: unknown) {
        const run = between;
        between = null;
        await run?.();
        return rows.swap(key, expected, value);
      },
    };
    const both = stage.make(slow, sealerOf(NEW_KEY, KEY));
    let token = '';
    between = async () => {
      stage.tokens.uninstall('T1');
      token = await stage.install('T1', stage.make(rows, sealerOf(NEW_KEY, KEY)));
    };
    expect((await both.read('T1'))?.tokens.bot).toBe(token);
  });
});
