import { isObject, type JsonObject, objects } from '../slack/model.ts';
import { Element, type OnAct, Picture } from './elements.tsx';
import { Markdown } from './markdown.tsx';
import { plainOf, RichText, Text } from './rich-text.tsx';

const TASK_MARKS: Readonly<Record<string, string>> = { complete: '✓', in_progress: '◐', error: '✗' };

const words = (value: unknown) => (typeof value === 'string' ? value : '');

function Cell({ cell }: { cell: JsonObject }) {
  if (cell.type === 'rich_text') return <RichText block={cell} />;
  return <>{words(cell.text) || String(cell.value ?? '')}</>;
}

function TableBlock({ block }: { block: JsonObject }) {
  const rows = (Array.isArray(block.rows) ? block.rows : []).map(objects);
  const aligned = objects(block.column_settings).map((column) => (column.align ? `align-${words(column.align)}` : ''));
  return (
    <div class="table">
      <table>
        <tbody>
          {rows.map((row, at) => (
            <tr key={at}>
              {row.map((cell, column) =>
                at === 0 ? (
                  <th key={column} class={aligned[column] ?? ''}>
                    <Cell cell={cell} />
                  </th>
                ) : (
                  <td key={column} class={aligned[column] ?? ''}>
                    <Cell cell={cell} />
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Section({ block, onAct }: { block: JsonObject; onAct: OnAct }) {
  const fields = objects(block.fields);
  return (
    <div class="section">
      <div class="section-text">
        <Text text={block.text} />
        {fields.length > 0 && (
          <div class="fields">
            {fields.map((field, at) => (
              <div key={at}>
                <Text text={field} />
              </div>
            ))}
          </div>
        )}
      </div>
      {isObject(block.accessory) && <Element element={block.accessory} onAct={onAct} />}
    </div>
  );
}

/** One block of any surface; `input` blocks belong to the form around them (see `modal.tsx`). */
export function Block({ block, onAct }: { block: JsonObject; onAct: OnAct }) {
  switch (block.type) {
    case 'section':
      return <Section block={block} onAct={onAct} />;
    case 'header':
      return <h3>{plainOf(block.text)}</h3>;
    case 'divider':
      return <hr />;
    case 'markdown':
      return <Markdown text={words(block.text)} />;
    case 'rich_text':
      return <RichText block={block} />;
    case 'context':
      return (
        <div class="context">
          {objects(block.elements).map((element, at) =>
            element.type === 'image' ? <Picture key={at} image={element} small /> : <Text key={at} text={element} />,
          )}
        </div>
      );
    case 'actions':
    case 'context_actions':
      return (
        <div class="actions">
          {objects(block.elements).map((element, at) => (
            <Element key={`${words(element.action_id)} ${at}`} element={element} onAct={onAct} />
          ))}
        </div>
      );
    case 'image':
      return <Picture image={block} />;
    case 'table':
    case 'data_table':
      return <TableBlock block={block} />;
    case 'plan':
      return (
        <div class="plan">
          <strong>{words(block.title)}</strong>
          <ul>
            {objects(block.tasks).map((task, at) => (
              <li key={at} class={`task ${words(task.status)}`}>
                <span aria-hidden="true">{TASK_MARKS[words(task.status)] ?? '○'}</span> {words(task.title)}
                <span class="sr-only"> ({words(task.status).replace('_', ' ')})</span>
              </li>
            ))}
          </ul>
        </div>
      );
    case 'alert':
      return (
        <div class="alert">
          <Text text={block.text} />
        </div>
      );
    default:
      return <div class="unknown">A {words(block.type) || 'nameless'} block, which this page cannot draw.</div>;
  }
}

export function Blocks({ blocks, onAct }: { blocks: readonly JsonObject[]; onAct: OnAct }) {
  return (
    <div class="blocks">
      {blocks.map((block, at) => (
        <Block key={at} block={block} onAct={onAct} />
      ))}
    </div>
  );
}
