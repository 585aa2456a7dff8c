import { describe, expect, it } from 'vitest';
import { BoundedMap } from '../src/bounded-map.ts';

describe('a bounded map', () => {
  it('forgets the entry that was set longest ago', () => {
    const map = new BoundedMap<string, number>(2);
    map.set('a', 1).set('b', 2).set('c', 3);
    expect([...map]).toEqual([
      ['b', 2],
      ['c', 3],
    ]);
  });

  it('keeps an entry longer when set again, not when read', () => {
    const map = new BoundedMap(2, [
      ['a', 1],
      ['b', 2],
    ]);
    map.get('b');
    map.set('a', 3);
    map.get('b');
    map.set('c', 4);
    expect([...map]).toEqual([
      ['a', 3],
      ['c', 4],
    ]);
  });

  it('takes the newest of more entries than it holds', () => {
    expect([...new BoundedMap(1, Object.entries({ a: 1, b: 2, c: 3 }))]).toEqual([['c', 3]]);
  });

  it('holds nothing when its bound is 0', () => {
    expect(new BoundedMap(0).set('a', 1).size).toBe(0);
  });
});
