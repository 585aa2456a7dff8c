import { isObject, type JsonObject } from '../model.ts';

/** What is wrong with blocks or a view, in Slack's sentences, each with its JSON pointer. */
export class Problems {
  readonly list: string[] = [];

  addProblem(problem: string, pointer: string): void {
    if (this.list.length < 50) this.list.push(`${problem} [json-pointer:${pointer}]`);
  }

  get hasAny(): boolean {
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
    if (limits.required) problems.addProblem(`missing required field: ${key}`, pointer);
    return;
  }
  if (typeof value !== 'string') {
    problems.addProblem('must be a string', `${pointer}/${key}`);
    return;
  }
  const min = limits.min ?? 0;
  if (value.length < min) problems.addProblem(`must be more than ${min - 1} characters`, `${pointer}/${key}`);
  if (value.length > limits.max)
    problems.addProblem(`must be less than ${limits.max + 1} characters`, `${pointer}/${key}`);
}

export function checkKeys(value: JsonObject, allowed: readonly string[], pointer: string, problems: Problems): void {
  for (const key of Object.keys(value)) {
    if (!allowed.includes(key)) problems.addProblem(`invalid additional property: ${key}`, pointer);
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
    if (limits.required) problems.addProblem(`missing required field: ${key}`, pointer);
    return [];
  }
  if (!Array.isArray(value)) {
    problems.addProblem('must be an array', `${pointer}/${key}`);
    return [];
  }
  const min = limits.min ?? 0;
  if (value.length < min) problems.addProblem(`no less than ${min} items allowed`, `${pointer}/${key}`);
  if (value.length > limits.max) problems.addProblem(`no more than ${limits.max} items allowed`, `${pointer}/${key}`);
  value.forEach((item, index) => {
    if (!isObject(item)) problems.addProblem('must be an object', `${pointer}/${key}/${index}`);
  });
  return value.filter(isObject);
}
