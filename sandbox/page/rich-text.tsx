import type { ComponentChildren } from 'preact';
import { isObject, type JsonObject, objects } from '../slack/model.ts';
import { slackDate } from '../slack/text/dates.ts';
import { richText } from '../slack/text/rich-text.ts';
import { channelMention, mentionName, usePage } from './context.ts';
import { emoji } from './emoji.ts';
import { placeBehind, safeHref } from './links.ts';

const words = (value: unknown) => (typeof value === 'string' ? value : '');

function Mention({ id }: { id: string }) {
  const { state } = usePage();
  return <span class={`mention ${id === state.user ? 'mention-me' : ''}`}>{mentionName(state, id)}</span>;
}

export function Link({ url, children }: { url: string; children: ComponentChildren }) {
  const { dispatch } = usePage();
  const href = safeHref(url);
  const place = placeBehind(url);
  if (place !== null) {
    return (
      <button type="button" class="link" title={url} onClick={() => dispatch({ do: 'go', place })}>
        {children}
      </button>
    );
  }
  if (href === null) return <span>{children}</span>;
  return (
    <a href={href} target="_blank" rel="noreferrer noopener" title={href}>
      {children}
    </a>
  );
}

function Inline({ element }: { element: JsonObject }) {
  const { state } = usePage();
  switch (element.type) {
    case 'text':
      return <>{words(element.text)}</>;
    case 'link':
      return <Link url={words(element.url)}>{words(element.text) || words(element.url)}</Link>;
    case 'user':
      return <Mention id={words(element.user_id)} />;
    case 'channel':
      return <span class="mention">{channelMention(state, words(element.channel_id))}</span>;
    case 'usergroup':
      return <span class="mention">@{words(element.usergroup_id)}</span>;
    case 'broadcast':
      return <span class="mention mention-me">@{words(element.range)}</span>;
    case 'emoji':
      return <span title={`:${words(element.name)}:`}>{emoji(words(element.name))}</span>;
    case 'date':
      return <time>{slackDate(Number(element.timestamp), words(element.format), words(element.fallback))}</time>;
    default:
      return <>{words(element.text)}</>;
  }
}

function Styled({ element }: { element: JsonObject }) {
  const style = isObject(element.style) ? element.style : {};
  let shown: ComponentChildren = <Inline element={element} />;
  if (style.code === true) shown = <code>{shown}</code>;
  if (style.strike === true) shown = <s>{shown}</s>;
  if (style.italic === true) shown = <em>{shown}</em>;
  if (style.bold === true) shown = <strong>{shown}</strong>;
  return <>{shown}</>;
}

function Inlines({ elements }: { elements: unknown }) {
  return (
    <>
      {objects(elements).map((element, at) => (
        <Styled key={at} element={element} />
      ))}
    </>
  );
}

function List({ part }: { part: JsonObject }) {
  const items = objects(part.elements).map((item, at) => (
    <li key={at}>
      <Inlines elements={item.elements} />
    </li>
  ));
  const indent = `indent-${Math.min(8, Number(part.indent) || 0)}`;
  return part.style === 'ordered' ? <ol class={indent}>{items}</ol> : <ul class={indent}>{items}</ul>;
}

function Part({ part }: { part: JsonObject }) {
  switch (part.type) {
    case 'rich_text_preformatted':
      return (
        <pre>
          <Inlines elements={part.elements} />
        </pre>
      );
    case 'rich_text_quote':
      return (
        <blockquote>
          <Inlines elements={part.elements} />
        </blockquote>
      );
    case 'rich_text_list':
      return <List part={part} />;
    default:
      return (
        <p>
          <Inlines elements={part.elements} />
        </p>
      );
  }
}

/** A `rich_text` block. */
export function RichText({ block }: { block: JsonObject }) {
  return (
    <div class="rich-text">
      {objects(block.elements).map((part, at) => (
        <Part key={at} part={part} />
      ))}
    </div>
  );
}

/** Slack's mrkdwn, read by the small Slack's own reader. */
export function Mrkdwn({ text }: { text: string }) {
  return <RichText block={richText(text, '')} />;
}

/** A text object; plain text is shown as it is. */
export function Text({ text }: { text: unknown }) {
  if (!isObject(text)) return null;
  return text.type === 'mrkdwn' ? <Mrkdwn text={words(text.text)} /> : <span class="plain">{words(text.text)}</span>;
}

export function plainOf(text: unknown): string {
  return isObject(text) ? words(text.text) : '';
}
