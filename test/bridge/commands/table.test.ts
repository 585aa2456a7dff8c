import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commandList, commands, parseBang, parseSlash, similarCommand } from '../../../src/bridge/commands/table.ts';
import { editDistance } from '../../../src/bridge/text/edit-distance.ts';
import { helpText } from '../../../src/bridge/words/commands.ts';

describe('help', () => {
  it('is three sentences and a line that says where more is', () => {
    const [said = '', more = '', ...rest] = helpText('U0BOT').trim().split('\n');
    expect(said.match(/[.](?:\s|$)/g)).toHaveLength(3);
    expect(more).toBe('More: `!commands`, or `/agent commands` outside of threads, lists what else you can tell me.');
    expect(rest).toEqual([]);
  });

  it('leaves the table to !commands, the most used command first', () => {
    expect(helpText('U0BOT')).not.toContain('status');
    const rows = commandList()
      .split('\n')
      .flatMap((row) => /^- `(\w+)/.exec(row)?.[1] ?? []);
    expect(rows.slice(0, 3)).toEqual(['stop', 'status', 'new']);
    expect(parseBang('!commands')).toMatchObject({ name: 'commands' });
    expect(parseSlash('more')).toMatchObject({ name: 'commands' });
  });

  it('names approve and deny nowhere: only a card without buttons does', () => {
    expect(`${helpText('U0BOT')}${commandList()}`).not.toMatch(/`(?:approve|deny)/);
  });
});

describe('an unknown command', () => {
  it.each([
    ['stpo', 'stop'],
    ['statsu', 'status'],
    ['HLEP', 'help'],
    ['canel', 'stop'],
    ['aprove', 'approve'],
    ['unmut', 'unmute'],
    ['qeue', 'queue'],
    ['shar', 'share'],
  ])('%s: probably means %s', (typed, meant) => {
    expect(similarCommand(typed)).toBe(meant);
  });

  it.each(['important', 'dance', 'go', 'x'.repeat(50_000)])('%.12s: resembles none', (typed) => {
    expect(similarCommand(typed)).toBeNull();
  });

  it('with one letter too many: is recognised for every command', () => {
    fc.assert(
      fc.property(fc.constantFrom(...commands), fc.constantFrom(...'qxz'), fc.nat(12), ({ name }, letter, at) => {
        const typed = `${name.slice(0, at)}${letter}${name.slice(at)}`;
        expect(similarCommand(typed)).toBe(name);
      }),
    );
  });
});

describe('the distance of two words', () => {
  it('is 0 only for equal ones, and the same in both directions', () => {
    const word = fc.string({ maxLength: 8 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        expect(editDistance(a, b)).toBe(editDistance(b, a));
        expect(editDistance(a, b) === 0).toBe(a === b);
        expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
      }),
    );
  });

  it('counts two swapped letters once', () => {
    expect(editDistance('stpo', 'stop')).toBe(1);
  });
});
