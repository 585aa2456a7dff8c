import { describe, expect, it } from 'vitest';
import type { Ask } from '../../src/letta/requests.ts';
import { readSavedRules } from '../../src/letta/saved-rules.ts';

/** Files of the agent's machine; what is not there is refused. */
const askWith =
  (files: Record<string, string>): Ask =>
  async (type, make) => {
    const { path } = make('r1') as unknown as { path: string };
    const content = files[path];
    const answer = content === undefined ? { success: false, error: 'ENOENT' } : { success: true, content };
    return { type, request_id: 'r1', ...answer } as never;
  };

const allow = (...rules: unknown[]) => JSON.stringify({ permissions: { allow: rules } });

describe('rules saved on the agent’s machine', () => {
  it('are those of the project and of this machine, each once', async () => {
    const ask = askWith({
      '/srv/app/.letta/settings.json': allow('Bash(ls:*)', 'Bash(touch a)'),
      '/srv/app/.letta/settings.local.json': allow('Bash(ls:*)', 'Edit'),
    });
    expect(await readSavedRules(ask, '/srv/app/')).toEqual(['Bash(ls:*)', 'Bash(touch a)', 'Edit']);
  });

  it('on Windows: are found below its paths', async () => {
    const ask = askWith({ 'C:\\work\\.letta\\settings.json': allow('Edit') });
    expect(await readSavedRules(ask, 'C:\\work')).toEqual(['Edit']);
  });

  it.for([['nothing'], ['[1'], ['{"permissions":null}'], ['{"permissions":{"allow":"Edit"}}'], [allow(1, null)]])(
    '%s: is no rule',
    async ([content]) => {
      expect(await readSavedRules(askWith({ '/a/.letta/settings.json': content ?? '' }), '/a')).toEqual([]);
    },
  );

  it('a file of many: is cut', async () => {
    const many = Array.from({ length: 500 }, (_, index) => `Bash(${index})`);
    expect(await readSavedRules(askWith({ '/a/.letta/settings.json': allow(...many) }), '/a')).toHaveLength(200);
  });
});
