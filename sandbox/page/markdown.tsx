import type { AlignType, Nodes, Table } from 'mdast';
import { fromMarkdown } from 'mdast-util-from-markdown';
import { gfmFromMarkdown } from 'mdast-util-gfm';
import { gfm } from 'micromark-extension-gfm';
import type { ComponentChildren } from 'preact';
import { tokenPattern } from '../slack/text/tokens.ts';
import { Link, Mrkdwn } from './rich-text.tsx';

function parse(text: string) {
  return fromMarkdown(text, { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] });
}

/** Text in which Slack's tokens count, as they do inside a `markdown` block (docs/slack.md, Markdown blocks). */
function Words({ text }: { text: string }) {
  const parts: ComponentChildren[] = [];
  let last = 0;
  for (const match of text.matchAll(tokenPattern())) {
    parts.push(text.slice(last, match.index), <Mrkdwn key={match.index} text={match[0]} />);
    last = match.index + match[0].length;
  }
  return (
    <>
      {parts}
      {text.slice(last)}
    </>
  );
}

function Children({ of }: { of: readonly Nodes[] }) {
  return (
    <>
      {of.map((node, at) => (
        <Node key={at} node={node} />
      ))}
    </>
  );
}

function aligned(align: AlignType | undefined): string {
  return align ? `align-${align}` : '';
}

function TableNode({ table }: { table: Table }) {
  const [head, ...body] = table.children;
  return (
    <div class="table">
      <table>
        <thead>
          <tr>
            {head?.children.map((cell, at) => (
              <th key={at} class={aligned(table.align?.[at])}>
                <Children of={cell.children} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {body.map((row, at) => (
            <tr key={at}>
              {row.children.map((cell, column) => (
                <td key={column} class={aligned(table.align?.[column])}>
                  <Children of={cell.children} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Node({ node }: { node: Nodes }) {
  switch (node.type) {
    case 'text':
      return <Words text={node.value} />;
    case 'html':
      return <Words text={node.value} />;
    case 'paragraph':
      return (
        <p>
          <Children of={node.children} />
        </p>
      );
    // Slack shows all headings at one size (docs/slack.md, Markdown blocks).
    case 'heading':
      return (
        <h3>
          <Children of={node.children} />
        </h3>
      );
    case 'strong':
      return (
        <strong>
          <Children of={node.children} />
        </strong>
      );
    case 'emphasis':
      return (
        <em>
          <Children of={node.children} />
        </em>
      );
    case 'delete':
      return (
        <s>
          <Children of={node.children} />
        </s>
      );
    case 'inlineCode':
      return <code>{node.value}</code>;
    case 'code':
      return <pre>{node.value}</pre>;
    case 'blockquote':
      return (
        <blockquote>
          <Children of={node.children} />
        </blockquote>
      );
    case 'list':
      return node.ordered ? (
        <ol start={node.start ?? 1}>
          <Children of={node.children} />
        </ol>
      ) : (
        <ul>
          <Children of={node.children} />
        </ul>
      );
    case 'listItem':
      return (
        <li class={typeof node.checked === 'boolean' ? 'task' : ''}>
          {typeof node.checked === 'boolean' && (
            <input type="checkbox" checked={node.checked} disabled aria-label={node.checked ? 'done' : 'open'} />
          )}
          <Children of={node.children} />
        </li>
      );
    case 'link':
      return (
        <Link url={node.url}>
          <Children of={node.children} />
        </Link>
      );
    case 'image':
      return <Link url={node.url}>{node.alt || node.url}</Link>;
    case 'table':
      return <TableNode table={node} />;
    case 'thematicBreak':
      return <hr />;
    case 'break':
      return <br />;
    default:
      return 'children' in node ? <Children of={node.children} /> : null;
  }
}

/** A `markdown` block. */
export function Markdown({ text }: { text: string }) {
  return (
    <div class="markdown">
      <Children of={parse(text).children} />
    </div>
  );
}
