import { describe, expect, it, onTestFinished } from 'vitest';
import WebSocket from 'ws';
import { runFileCommand } from '../../../sandbox/letta/device-files.ts';
import { Machine } from '../../../sandbox/letta/machine.ts';
import { DEFAULT_AGENT, startScriptedLetta } from '../../../sandbox/letta/server.ts';
import { type Frame, readTrace, type TraceLine, textOf } from './trace.ts';

const PROJECT = '/home/user/project';
const COMMANDS = new Set(['read_file', 'write_file', 'list_in_directory']);

const isCut = (frame: Frame) => JSON.stringify(frame).includes('…[cut, ');

/** What the recorded machine had before. */
function recordedMachine(): Machine {
  const machine = new Machine();
  const files: Record<string, string | Uint8Array> = {
    'text.txt': 'grün ✓\n',
    'bin.bin': Buffer.from('AP8BAoA=', 'base64'),
    'utf16.txt': Buffer.from('\ufeffhi', 'utf16le'),
    'empty.txt': '',
    'private.txt': 'mode 600\n',
    '../outside.txt': 'outside\n',
    'wempty.txt': '',
    'wbin.bin': Buffer.from([0, 255]),
    'crlf.txt': 'a\r\nb\r\n',
    'dollar.txt': 'before\n',
    'big.bin': Buffer.alloc(27_262_976),
  };
  for (const [name, content] of Object.entries(files)) machine.write(machine.resolve(PROJECT, name), content);
  machine.makeFolder(`${PROJECT}/adir`);
  machine.write('/etc/hostname', 'host\n');
  machine.write('/dev/null', '');
  return machine;
}

/** File commands and their recorded answers; those with shortened contents are left out. */
function exchanges(trace: readonly TraceLine[]): { sent: Frame; answer: Frame }[] {
  const answers = new Map(trace.flatMap(({ frame }) => (frame ? [[`${frame.type} ${frame.request_id}`, frame]] : [])));
  return trace.flatMap(({ dir, frame: sent }) => {
    if (dir !== 'send' || !sent || !COMMANDS.has(String(sent.type))) return [];
    const answer = answers.get(`${sent.type}_response ${sent.request_id}`);
    return answer && !isCut(sent) && !isCut(answer) ? [{ sent, answer }] : [];
  });
}

function withoutEnvelope({ type: _, request_id: __, seq: ___, ...body }: Frame): Frame {
  return body;
}

describe('the file commands of the scripted Letta', () => {
  it.for(['46-files-read', '47-files-write', '49-files-mode'])('answer as recorded in %s', (name) => {
    const machine = recordedMachine();
    const recorded = exchanges(readTrace(name));
    expect(recorded.length).toBeGreaterThan(2);
    for (const { sent, answer } of recorded) {
      const { content, ...rest } = sent;
      expect(runFileCommand(machine, sent, '/home/user/boot'), JSON.stringify({ ...rest, content })).toEqual(
        withoutEnvelope(answer),
      );
    }
  });

  it('keep line ends of a file that is written again unchanged', () => {
    const machine = recordedMachine();
    const write = { type: 'write_file', path: '~/notes.txt', content: 'a\r\nb\r\n' };
    runFileCommand(machine, write, PROJECT);
    runFileCommand(machine, write, PROJECT);
    expect(machine.read('/home/user/notes.txt')).toBe('a\r\nb\r\n');
  });

  it('expand ~ when they write, not when they read', () => {
    const machine = recordedMachine();
    runFileCommand(machine, { type: 'write_file', path: '~/x', content: 'x' }, PROJECT);
    expect(runFileCommand(machine, { type: 'read_file', path: '~/x' }, PROJECT)).toMatchObject({ success: false });
    expect(runFileCommand(machine, { type: 'file_ops', path: '~/x', document_content: 'y' }, PROJECT)).toBeNull();
    expect(machine.read('/home/user/x')).toBe('x');
  });
});

function saidIn(frame: Frame): string {
  const delta = frame.delta as Frame | undefined;
  return delta?.message_type === 'assistant_message' ? textOf(delta) : '';
}

/** Each input of a recording, and how its turn ended. */
function imageTurns(trace: readonly TraceLine[]): { content: unknown; payload: Frame; end: Frame; said: string }[] {
  const turns: { content: unknown; payload: Frame; end: Frame; said: string }[] = [];
  let said = '';
  let payload: Frame | null = null;
  for (const { dir, frame } of trace) {
    if (dir === 'send' && frame?.type === 'input') {
      payload = frame.payload as Frame;
      said = '';
    }
    said += saidIn(frame ?? {});
    if (frame?.type !== 'turn_finished' || payload === null) continue;
    const { stop_reason, error } = frame;
    const end = { stop_reason, ...(error !== undefined && { error }) };
    turns.push({ content: (payload.messages as Frame[])[0]?.content, payload, end, said });
    payload = null;
  }
  return turns;
}

describe('images for the scripted Letta', () => {
  it.for(['40-image-types', 'h21-images'])('are counted or refused as recorded in %s', async (name) => {
    const letta = await startScriptedLetta({ token: null, timings: { latency: 1, word: 0, pump: 5, settle: 0 } });
    onTestFinished(() => letta.close());
    const socket = new WebSocket(letta.url);
    onTestFinished(() => socket.close());
    const frames: Frame[] = [];
    let woken = () => {};
    socket.on('message', (data) => {
      frames.push(JSON.parse(String(data)) as Frame);
      woken();
    });
    const until = async (isWanted: (frame: Frame) => boolean): Promise<Frame> => {
      for (;;) {
        const found = frames.find(isWanted);
        if (found) return found;
        await new Promise<void>((resolve) => {
          woken = resolve;
        });
      }
    };
    await new Promise((resolve) => socket.once('open', resolve));
    const start = { type: 'runtime_start', request_id: 's', agent_id: DEFAULT_AGENT.id, create_conversation: {} };
    socket.send(JSON.stringify(start));
    const { runtime } = await until(({ type }) => type === 'runtime_start_response');
    for (const [at, { payload, end, said }] of imageTurns(readTrace(name)).entries()) {
      frames.length = 0;
      socket.send(JSON.stringify({ type: 'input', request_id: `i${at}`, runtime, payload }));
      const finished = await until(({ type }) => type === 'turn_finished');
      const heard = frames.map((frame) => saidIn(frame)).join('');
      expect({ end: finished, said: heard }, `turn ${at}`).toMatchObject({ end, said });
      // An input right after a turn would not be tracked.
      socket.send(JSON.stringify({ type: 'sync', request_id: `y${at}`, runtime }));
      await until(({ type, request_id }) => type === 'sync_response' && request_id === `y${at}`);
    }
  });
});
