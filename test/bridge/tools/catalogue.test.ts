import { describe, expect, it } from 'vitest';
import { DEFAULT_TOOLS, isToolName, offersOf, TOOL_NAMES, toolOf } from '../../../src/bridge/tools/catalogue.ts';

describe('the catalogue of tools', () => {
  it('gives no agent posts elsewhere by default', () => {
    expect(DEFAULT_TOOLS).toContain('slack_react');
    expect(DEFAULT_TOOLS).not.toContain('slack_post_message');
    expect(DEFAULT_TOOLS).not.toContain('slack_read_channel');
  });

  it('has a name, a description and a schema of each tool', () => {
    for (const { name, description, parameters } of offersOf(TOOL_NAMES)) {
      expect(name).toMatch(/^slack_[a-z_]+$/);
      expect(description.length).toBeGreaterThan(20);
      expect(parameters).toMatchObject({ type: 'object', properties: {} });
    }
  });

  it('offers a set in one order, however the policy lists it', () => {
    const names = offersOf(['slack_react', 'slack_upload_file']).map(({ name }) => name);
    expect(names).toEqual(['slack_upload_file', 'slack_react']);
  });

  it('knows its own names only', () => {
    expect(isToolName('slack_react')).toBe(true);
    expect(isToolName('toString')).toBe(false);
    expect(isToolName('Bash')).toBe(false);
  });

  it('counts as reading only what changes nothing', () => {
    const reading = TOOL_NAMES.filter((name) => toolOf(name).effect === 'reads');
    expect(reading.every((name) => /read|find|schedules/.test(name))).toBe(true);
  });
});
