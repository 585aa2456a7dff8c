// Scripted OpenAI-compatible chat model on loopback (no dependencies).
//   node scripted-model.mjs [port]          PORT 0 / omitted = any free port
// It plays LM Studio: `letta --backend local connect lmstudio --base-url http://127.0.0.1:<port>/v1`
// The reply is chosen by directives in the LAST user message, joined by " THEN ":
//   say N words | say: <text> | slow N words [MS ms] | reason then <directive> | preface <text> :: <directive> | markdown
//   run bash <cmd> | both <cmd> ;; <cmd> | read file <p> | write file <p> := <text>
//   edit file <p> := <old> => <new> | ask <q> | <opt> | <opt> | call <Tool> <json> | calls <Tool> <json> ;; <Tool> <json>
//   speak N words MS ms [in lines of N] (as a message of Letta's own channels, a call of MessageChannel)
//   error <status> | drop (socket cut mid-answer) | hang [MS ms] | count images
// One directive runs per model call: a tool directive ends the call with tool_calls, the next call
// (after the tool results) runs the next directive; past the last one it answers "Done: <result>".

import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';

const MODELS = ['scripted'];
const LOG = process.env.SCRIPTED_MODEL_LOG; // optional: append every request body as JSONL
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
const textOf = (c) => (typeof c === 'string' ? c : (c ?? []).map((p) => p.text ?? '').join('\n'));
let calls = 0;

const words = (n) => Array.from({ length: n }, (_, i) => `word${i + 1}`).join(' ');
const DIRECTIVE =
  /^(say |say:|slow |speak |reason then|preface |markdown|run bash|both |read file|write file|edit file|ask |calls? |error |drop|hang|count images)/i;

/** The directives of the newest user message, and how many model calls it has had already. */
function plan(messages) {
  let from = messages.findLastIndex(
    (m) =>
      m.role === 'user' &&
      textOf(m.content)
        .split('\n')
        .some((l) => DIRECTIVE.test(l.trim())),
  );
  const last = messages.findLastIndex((m) => m.role === 'user');
  if (from < last && !messages.slice(from + 1).some((m) => m.role === 'tool')) from = last;
  if (from < 0) from = last;
  const line = textOf(messages[from]?.content)
    .split('\n')
    .map((l) => l.trim())
    .filter((l) => DIRECTIVE.test(l))
    .pop();
  const step = messages.slice(from + 1).filter((m) => m.role === 'assistant').length;
  return { steps: line ? line.split(' THEN ') : [], step, tail: messages.slice(from + 1) };
}

/** name + arguments for the toolset the client offers ("Bash" or "exec_command", ...). */
function shell(tools, command) {
  const has = (n) => tools.includes(n);
  if (has('Bash')) return ['Bash', { command, description: 'scripted command' }];
  if (has('exec_command')) return ['exec_command', { cmd: command }];
  if (has('shell_command')) return ['shell_command', { command }];
  return ['Bash', { command }];
}
const pair = (s, sep) => {
  const i = s.indexOf(sep);
  return [s.slice(0, i).trim(), s.slice(i + sep.length).trim()];
};

async function act(dir, ctx) {
  const { say, think, tool, tools, messages } = ctx;
  let m;
  if ((m = /^say (\d+) words/i.exec(dir))) return say(words(+m[1]), 0);
  if ((m = /^say:\s*([^]*)/i.exec(dir))) return say(m[1], 0);
  if ((m = /^slow (\d+) words(?: (\d+) ms)?/i.exec(dir))) return say(words(+m[1]), +(m[2] ?? 200));
  if ((m = /^speak (\d+) words (\d+(?:\.\d+)?) ms(?: in lines of (\d+))?/i.exec(dir))) {
    const newest = textOf(messages.findLast((one) => one.role === 'user')?.content);
    const pause = (i) => (i === 0 ? '' : m[3] && i % m[3] === 0 ? '\n' : ' ');
    const message = Array.from({ length: +m[1] }, (_, i) => `${pause(i)}word${i + 1}`).join('');
    const chat_id = /chat_id="([^"]+)"/.exec(newest)?.[1];
    if (LOG)
      appendFileSync(
        LOG,
        `${JSON.stringify({ speaks: /stream in (\w+)/.exec(newest)?.[1], words: +m[1], ms: +m[2], at: Date.now() })}\n`,
      );
    return tool('MessageChannel', { action: 'send', channel: 'slack', chat_id, message }, +m[2]);
  }
  if ((m = /^reason then (.*)/i.exec(dir))) {
    await think('First I look at the question. Then I decide.');
    return act(m[1], ctx);
  }
  if ((m = /^preface (.*?) :: (.*)/i.exec(dir))) {
    await say(m[1], 0);
    return act(m[2], ctx);
  }
  if (/^markdown/i.test(dir))
    return say(
      '# Title\n\n**bold** _it_ ~~gone~~ `code` [link](https://example.com) <@U1> & < >\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```ts\nconst x = 1 < 2;\n```\n',
      0,
    );
  if ((m = /^run bash (.*)/i.exec(dir))) return tool(...shell(tools, m[1]));
  if ((m = /^both (.*)/i.exec(dir))) {
    for (const c of m[1].split(';;')) await tool(...shell(tools, c.trim()));
    return;
  }
  if ((m = /^read file (.*)/i.exec(dir))) return tool('Read', { file_path: m[1] });
  if ((m = /^write file (.*)/i.exec(dir))) {
    const [p, c] = pair(m[1], ':=');
    return tool('Write', { file_path: p, content: c.replaceAll('\\n', '\n') });
  }
  if ((m = /^edit file (.*)/i.exec(dir))) {
    const [p, r] = pair(m[1], ':=');
    const [a, b] = pair(r, '=>');
    return tool('Edit', { file_path: p, old_string: a, new_string: b, replace_all: false });
  }
  if ((m = /^ask (.*)/i.exec(dir))) {
    const [q, ...o] = m[1].split('|').map((s) => s.trim());
    return tool('AskUserQuestion', {
      questions: [
        {
          question: q,
          header: 'Choice',
          multiSelect: false,
          options: o.map((label) => ({ label, description: `pick ${label}` })),
        },
      ],
    });
  }
  if ((m = /^call (\S+) (.*)/i.exec(dir))) return tool(m[1], JSON.parse(m[2]));
  if ((m = /^calls (.*)/i.exec(dir))) {
    for (const c of m[1].split(';;')) {
      const [, name, input] = /^\s*(\S+) (.*)/.exec(c);
      await tool(name, JSON.parse(input));
    }
    return;
  }
  if (/^count images/i.test(dir))
    return say(
      `I see ${messages.flatMap((x) => (Array.isArray(x.content) ? x.content : [])).filter((p) => p.type === 'image_url').length} image(s).`,
      0,
    );
  if ((m = /^hang(?: (\d+) ms)?/i.exec(dir))) return sleep(+(m[1] ?? 600_000));
  if (/^drop/i.test(dir)) {
    await say('this answer is cut', 20);
    ctx.cut();
    return;
  }
  return say(`Echo: ${dir}`, 0);
}

async function chat(body, res) {
  const { messages, tools = [], stream } = body;
  const { steps, step, tail } = plan(messages);
  const dir =
    steps[step] ??
    (tail.at(-1)?.role === 'tool'
      ? `say: Done: ${textOf(tail.at(-1).content).slice(0, 200)}`
      : `say: Echo: ${textOf(messages.findLast((m) => m.role === 'user')?.content).slice(-80)}`);
  const err = /^error (\d+)/i.exec(dir);
  if (err) {
    res.writeHead(+err[1], { 'content-type': 'application/json' });
    return res.end(
      JSON.stringify({ error: { message: `scripted error ${err[1]}`, type: 'scripted_error', code: err[1] } }),
    );
  }
  const id = `chatcmpl-${++calls}`;
  const frame = (delta, finish_reason = null, extra = {}) => ({
    id,
    object: 'chat.completion.chunk',
    created: 0,
    model: body.model,
    choices: [{ index: 0, delta, finish_reason }],
    ...extra,
  });
  if (!stream) {
    // summaries, titles: one plain answer
    res.writeHead(200, { 'content-type': 'application/json' });
    return res.end(
      JSON.stringify({
        id,
        object: 'chat.completion',
        created: 0,
        model: body.model,
        choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'scripted' } }],
        usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
      }),
    );
  }
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  if (LOG)
    res.on('close', () =>
      appendFileSync(LOG, JSON.stringify({ closed: id, finished: res.writableFinished, at: Date.now() }) + '\n'),
    );
  const send = (o) => {
    if (!res.destroyed) res.write(`data: ${JSON.stringify(o)}\n\n`);
  };
  let n = 0;
  const flow =
    (key) =>
    async (text, ms = 0) => {
      for (const t of text.match(/\s*\S+\s*$|\s*\S+/g) ?? []) {
        if (res.destroyed) return;
        send(frame({ [key]: t }));
        if (ms) await sleep(ms);
      }
    };
  send(frame({ role: 'assistant', content: '' }));
  await act(dir, {
    messages,
    tools: tools.map((t) => t.function?.name),
    say: flow('content'),
    think: flow('reasoning_content'),
    cut: () => res.destroy(),
    tool: async (name, args, ms) => {
      const s = JSON.stringify(args),
        h = s.length >> 1,
        index = n++;
      const begun = Date.now();
      send(
        frame({
          tool_calls: [{ index, id: `call_${calls}_${index}`, type: 'function', function: { name, arguments: '' } }],
        }),
      );
      let written = 0;
      for (const part of ms ? s.split(/(?=word\d)/) : [s.slice(0, h), s.slice(h)]) {
        send(frame({ tool_calls: [{ index, function: { arguments: part } }] }));
        // By the clock: pauses that are added up make a slow answer slower than it says.
        if (ms) await sleep(Math.max(0, begun + written++ * ms - Date.now()));
      }
    },
  });
  send(frame({}, n ? 'tool_calls' : 'stop'));
  send({ ...frame({}), choices: [], usage: { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 } });
  res.end('data: [DONE]\n\n');
}

const server = createServer(async (req, res) => {
  const json = (o) => {
    res.writeHead(200, { 'content-type': 'application/json' });
    res.end(JSON.stringify(o));
  };
  if (req.url === '/api/v0/models')
    return json({
      data: MODELS.map((id) => ({
        id,
        type: 'vlm',
        state: 'loaded',
        capabilities: ['tool_use', 'vision', 'reasoning'],
        loaded_context_length: 128000,
        max_context_length: 128000,
      })),
    });
  if (req.url === '/v1/models') return json({ object: 'list', data: MODELS.map((id) => ({ id, object: 'model' })) });
  if (req.method !== 'POST' || !req.url.endsWith('/chat/completions')) {
    res.writeHead(404);
    return res.end();
  }
  let raw = '';
  for await (const c of req) raw += c;
  if (LOG) appendFileSync(LOG, raw + '\n');
  try {
    await chat(JSON.parse(raw), res);
  } catch (e) {
    console.error('scripted-model:', e.message);
    res.destroy();
  }
});
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () =>
  console.log(`scripted model on http://127.0.0.1:${server.address().port}/v1`),
);
process.on('SIGTERM', () => process.exit(0));
