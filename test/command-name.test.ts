import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { commandName } from '../src/command-name.ts';

describe('the name of a command', () => {
  it('in a clone: is what npm understands', () => {
    expect(commandName('start')).toBe('npm start');
    expect(commandName('doctor')).toBe('npm run doctor');
    expect(commandName('doctor', '--channel C0123ABCD')).toBe('npm run doctor -- --channel C0123ABCD');
  });

  it('in the package: is what the package installs', () => {
    expect(commandName('start', '', true)).toBe('letta-slack start');
    expect(commandName('doctor', '--channel C0123ABCD', true)).toBe('letta-slack doctor --channel C0123ABCD');
  });
});

describe('npm run -s manifest', () => {
  it('prints YAML and nothing else', () => {
    const printed = spawnSync('npm', ['run', '-s', 'manifest'], { encoding: 'utf8' });
    expect(printed.stderr).toBe('');
    expect(Object.keys(parse(printed.stdout) as object)[0]).toBe('display_information');
  });
});
