import type { JsonObject } from '../model.ts';
import { invalidArguments, Refusal } from '../refusal.ts';

const TS = /^\d{1,12}\.\d{6}$/;

/**
 * Arguments of one call; forms carry everything as strings, nested values as JSON in them (docs/slack.md, Retries of
 * @slack/web-api).
 */
export class Args {
  readonly raw: JsonObject;

  constructor(raw: JsonObject) {
    this.raw = raw;
  }

  has(name: string): boolean {
    return this.raw[name] !== undefined && this.raw[name] !== null;
  }

  /** `undefined` when left out; the empty string counts as given. */
  string(name: string): string | undefined {
    const value = this.raw[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'string') return value;
    throw invalidArguments(`must be a string [json-pointer:/${name}]`);
  }

  required(name: string): string {
    const value = this.string(name);
    if (value === undefined || value === '') throw invalidArguments(`missing required field: ${name} [json-pointer:/]`);
    return value;
  }

  bool(name: string): boolean | undefined {
    const value = this.raw[name];
    if (value === undefined || value === null || value === '') return undefined;
    if (typeof value === 'boolean') return value;
    if (value === 'true' || value === '1' || value === 1) return true;
    if (value === 'false' || value === '0' || value === 0) return false;
    throw invalidArguments(`must be a boolean [json-pointer:/${name}]`);
  }

  int(name: string, limits: { default: number; max: number }): number {
    const value = this.raw[name];
    if (value === undefined || value === null || value === '') return limits.default;
    const number = typeof value === 'number' ? value : Number(value);
    if (!Number.isInteger(number) || number < 1) throw new Refusal('invalid_limit');
    return Math.min(number, limits.max);
  }

  /** A value that a form carries as JSON text; `refusal` is Slack's error for invalid JSON. */
  json(name: string, refusal: string): unknown {
    const value = this.raw[name];
    if (value === undefined || value === null || value === '') return undefined;
    if (typeof value !== 'string') return value;
    try {
      return JSON.parse(value);
    } catch {
      throw new Refusal(refusal);
    }
  }

  array(name: string, refusal: string): unknown[] | undefined {
    const value = this.json(name, refusal);
    if (value === undefined || value === null) return undefined;
    if (!Array.isArray(value)) throw new Refusal(refusal);
    return value;
  }

  /** A timestamp. Anything but a string of that shape is refused; a number would have lost digits. */
  ts(name: string, refusal: string): string | undefined {
    const value = this.raw[name];
    if (value === undefined || value === null || value === '') return undefined;
    if (typeof value !== 'string' || !TS.test(value)) throw new Refusal(refusal);
    return value;
  }
}
