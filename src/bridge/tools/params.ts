/** What a tool takes, as Letta is told it (JSON Schema) and as a call is checked. Models send what they like. */

interface Shared {
  /** For the model. */
  description: string;
  isOptional?: true;
}

export interface TextParam extends Shared {
  type: 'string';
  maxLength: number;
}

export interface NumberParam extends Shared {
  type: 'integer';
  minimum: number;
  maximum: number;
}

type Param = TextParam | NumberParam;

export type Params = Readonly<Record<string, Param>>;

type ValueOf<P extends Param> = P extends TextParam ? string : number;

/** What a checked call holds. */
export type InputOf<P extends Params> = {
  [Name in keyof P as P[Name] extends { isOptional: true } ? never : Name]: ValueOf<P[Name]>;
} & { [Name in keyof P as P[Name] extends { isOptional: true } ? Name : never]?: ValueOf<P[Name]> };

/** A text that is not empty. @param maxLength UTF-16 units */
export function text(description: string, maxLength: number): TextParam {
  return { type: 'string', description, maxLength };
}

export function whole(description: string, minimum: number, maximum: number): NumberParam {
  return { type: 'integer', description, minimum, maximum };
}

export function optional<P extends Param>(param: P): P & { isOptional: true } {
  return { ...param, isOptional: true };
}

/** The JSON Schema that Letta hands to the model. */
export function jsonSchemaOf(params: Params): Record<string, unknown> {
  const entries = Object.entries(params);
  return {
    type: 'object',
    properties: Object.fromEntries(entries.map(([name, { isOptional: _, ...schema }]) => [name, schema])),
    required: entries.flatMap(([name, { isOptional }]) => (isOptional ? [] : [name])),
    additionalProperties: false,
  };
}

/**
 * Checks what a model sent. An optional value that is `null` or empty counts as left out, because some models send all
 * names.
 * @returns the input, or what is wrong in words for the model
 */
export function checkInput<P extends Params>(
  params: P,
  input: Readonly<Record<string, unknown>>,
): { input: InputOf<P> } | { wrong: string } {
  const checked: Record<string, string | number> = {};
  for (const name of Object.keys(input)) {
    if (!Object.hasOwn(params, name)) return { wrong: `There is no parameter ${JSON.stringify(name.slice(0, 80))}.` };
  }
  for (const [name, param] of Object.entries(params)) {
    const value = Object.hasOwn(input, name) ? input[name] : undefined;
    if (value === undefined || value === null || value === '') {
      if (param.isOptional) continue;
      return { wrong: `${name} is missing.` };
    }
    const wrong = wrongOf(param, value);
    if (wrong !== null) return { wrong: `${name} ${wrong}.` };
    checked[name] = value as string | number;
  }
  return { input: checked as InputOf<P> };
}

function wrongOf(param: Param, value: unknown): string | null {
  if (param.type === 'string') {
    if (typeof value !== 'string') return 'must be a text';
    if (value.trim() === '') return 'must not be empty';
    return value.length > param.maxLength ? `must have at most ${param.maxLength} characters` : null;
  }
  const { minimum, maximum } = param;
  const isInside = typeof value === 'number' && Number.isInteger(value) && value >= minimum && value <= maximum;
  return isInside ? null : `must be a whole number from ${minimum} to ${maximum}`;
}
