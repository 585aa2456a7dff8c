import { channelTitle, usePage } from './context.ts';
import { Avatar } from './message.tsx';
import { countUnread } from './store.ts';

const KINDS = [
  { kind: 'member', name: 'Members' },
  { kind: 'guest', name: 'Guests' },
  { kind: 'external', name: 'Other organisations' },
] as const;

export function Sidebar({ onGo }: { onGo(): void }) {
  const { state, dispatch } = usePage();
  const people = (state.hello?.people ?? []).filter(({ kind }) => kind !== 'bot');
  const me = people.find(({ id }) => id === state.user);
  return (
    <nav class="sidebar" aria-label="Workspace">
      <p class="workspace">Sandbox</p>
      <div class="act-as">
        <Avatar id={state.user} name={me?.real_name ?? ''} />
        <label>
          <small>You act as</small>
          <select
            value={state.user}
            onChange={({ currentTarget }) => dispatch({ do: 'act-as', user: currentTarget.value })}
          >
            {KINDS.map(({ kind, name }) => (
              <optgroup key={kind} label={name}>
                {people
                  .filter((person) => person.kind === kind)
                  .map(({ id, real_name }) => (
                    <option key={id} value={id}>
                      {real_name}
                    </option>
                  ))}
              </optgroup>
            ))}
          </select>
        </label>
      </div>
      <ul class="channels">
        {state.state?.channels.map((info) => {
          const { unread: isUnread, mentions } = countUnread(state, info.id);
          const here = state.place.channel === info.id;
          const sign = info.kind === 'im' ? '●' : info.kind === 'private' ? '🔒' : '#';
          return (
            <li key={info.id} class={info.kind === 'im' ? 'direct' : ''}>
              <button
                type="button"
                class={isUnread && !here ? 'unread' : ''}
                aria-current={here ? 'page' : undefined}
                onClick={() => {
                  dispatch({ do: 'go', place: { channel: info.id } });
                  onGo();
                }}
              >
                <span class={`sign sign-${info.kind}`} aria-hidden="true">
                  {sign}
                </span>
                {channelTitle(state, info)}
                {info.kind === 'im' && <span class="badge">APP</span>}
                {isUnread && !here && (
                  <span class="count" title="unread">
                    {mentions > 0 ? mentions : '•'}
                  </span>
                )}
              </button>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}
