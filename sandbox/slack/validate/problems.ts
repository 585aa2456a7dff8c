import { isObject, type JsonObject } from '../model.ts';

/** What is wrong with blocks or a view, in Slack's sentences, each with its JSON pointer. */
export class Problems {
  readonly list: string[] = [];

  add(problem: string, pointer: string): void {
    if (this.list.length < 50) this.list.push(`${problem} [json-pointer:${pointer}]`);
  }

  get any(): boolean {
    return this.list.length > 0;
  }
}

export function checkString(
  parent: JsonObject,
  key: string,
  limits: { min?: number; max: number; required?: boolean },
  pointer: string,
  problems: Problems,
): void {
  const value = parent[key];
  if (value === undefined || value === null) {
    if (limits.required) problems.add(`missing required field: ${key}`, pointer);
    return;
  }
  if (typeof value !== 'string') {
    problems.add('must be a string', `${pointer}/${key}`);
    return;
  }
  const min = limits.min ?? 0;
  if (value.length < min) problems.add(`must be more than ${min - 1} characters`, `${pointer}/${key}`);
  if (value.length > limits.max) problems.add(`must be less than ${limits.max + 1} characters`, `${pointer}/${key}`);
}

export function checkKeys(value: JsonObject, allowed: readonly string[], pointer: string, problems: Problems): void {
  for (const key of Object.keys(value)) {
    if (!allowed.includes(key)) problems.add(`invalid additional property: ${key}`, pointer);
  }
}

export function checkItems(
  parent: JsonObject,
  key: string,
  limits: { min?: number; max: number; required?: boolean },
  pointer: string,
  problems: Problems,
): JsonObject[] {
  const value = parent[key];
  if (value === undefined || value === null) {
    if (limits.required) problems.add(`missing required field: ${key}`, pointer);
    return [];
  }
  if (!Array.isArray(value)) {
    problems.add('must be an array', `${pointer}/${key}`);
    return [];
  }
  const min = limits.min ?? 0;
  if (value.length < min) problems.add(`no less than ${min} items allowed`, `${pointer}/${key}`);
  if (value.length > limits.max) problems.add(`no more than ${limits.max} items allowed`, `${pointer}/${key}`);
  value.forEach((item, index) => {
    if (!isObject(item)) problems.add('must be an object', `${pointer}/${key}/${index}`);
  });
  return value.filter(isObject);
}
