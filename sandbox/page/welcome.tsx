import { useState } from 'preact/hooks';
import { slack } from './api.ts';
import { usePage } from './context.ts';

interface Try {
  title: string;
  about: string;
  /** What is said. */
  text: string;
}

const WITH_SCRIPT: readonly Try[] = [
  {
    title: 'Let it change a file',
    about: 'It shows you the change and waits for your click.',
    text: 'write file poem.txt := roses are red\\nviolets are blue\\nthe build is green',
  },
  {
    title: 'Let it ask you something',
    about: 'Click an answer, or reply in your own words.',
    text: 'ask Where should I deploy? | Staging | Production',
  },
  {
    title: 'Interrupt it',
    about: 'A long answer grows as it is written. Click Stop whenever you like.',
    text: 'report',
  },
];

const WITH_REAL_AGENT: readonly Try[] = [
  { title: 'Ask what it can do', about: 'Your own agent answers.', text: 'what can you do here?' },
  { title: 'Let it look around', about: 'Reading needs no click of yours.', text: 'which files are in this folder?' },
  { title: 'Let it write a file', about: 'It asks you first.', text: 'write a haiku into haiku.txt' },
];

/** Three things to try, in the conversation that is open; until the person closes it. */
export function Welcome({ channel, thread, onClose }: { channel: string; thread: string | null; onClose(): void }) {
  const { state, dispatch, attempt } = usePage();
  const [tried, setTried] = useState<ReadonlySet<string>>(new Set());
  const isReal = state.hello?.letta === 'yours';
  const say = ({ title, text }: Try) => {
    setTried(new Set([...tried, title]));
    void attempt(async () => {
      const addressed = thread === null && !channel.startsWith('D') ? `@agent ${text}` : text;
      const where = { channel, user: state.user, ...(thread !== null && { thread_ts: thread }) };
      const said = await slack<{ ts: string }>('message', { ...where, text: addressed });
      if (thread === null) dispatch({ do: 'go', place: { channel, thread: said.ts } });
    });
  };
  return (
    <section class="welcome" aria-label="Welcome">
      <header>
        <h3>{tried.size === 0 ? 'Your turn. Three things to try:' : 'What next?'}</h3>
        <button type="button" class="icon" aria-label="Close the suggestions" onClick={onClose}>
          ✕
        </button>
      </header>
      <ul>
        {(isReal ? WITH_REAL_AGENT : WITH_SCRIPT).map((each) => (
          <li key={each.title}>
            <button type="button" onClick={() => say(each)}>
              <strong>
                {tried.has(each.title) ? '✓ ' : ''}
                {each.title}
              </strong>{' '}
              <small>{each.about}</small>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
