/** Calls the sandbox; what it refuses is an Error with its words. */
async function post<T>(path: string, body: object): Promise<T> {
  const response = await fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const answer: unknown = await response.json();
  if (typeof answer !== 'object' || answer === null)
    throw new Error('The sandbox did not answer. Is it still running?');
  if ('error' in answer) throw new Error(String(answer.error));
  return answer as T;
}

export const slack = <T = object>(act: string, body: object) => post<T>(`/_control/${act}`, body);
export const sandbox = (body: object) => post('/_page/act', body);
