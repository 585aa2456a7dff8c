import { fromMarkdown } from 'mdast-util-from-markdown';
import { gfmFromMarkdown } from 'mdast-util-gfm';
import { gfm } from 'micromark-extension-gfm';
import { isObject, type JsonObject } from '../model.ts';
import { checkItems, type Problems } from './problems.ts';

export function checkTable(block: JsonObject, at: string, problems: Problems): void {
  const rows = block.rows;
  if (!Array.isArray(rows)) {
    problems.addProblem('missing required field: rows', at);
    return;
  }
  if (rows.length > 100) problems.addProblem('no more than 100 items allowed', `${at}/rows`);
  rows.forEach((row, index) => {
    const cells = checkItems(
      { cells: row },
      'cells',
      { min: 1, max: 20, required: true },
      `${at}/rows/${index}`,
      problems,
    );
    cells.forEach((cell, column) => {
      if (cell.type === 'raw_text' && cell.text === '') {
        problems.addProblem('must be more than 0 characters', `${at}/rows/${index}/${column}/text`);
      }
    });
  });
}

/** Tables that a Markdown text renders to. */
export function markdownTables(text: string): number {
  if (!text.includes('|')) return 0;
  const tree = fromMarkdown(text, { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] });
  let tables = 0;
  const walk = (node: unknown): void => {
    if (!isObject(node)) return;
    if (node.type === 'table') tables += 1;
    if (Array.isArray(node.children)) node.children.forEach(walk);
  };
  walk(tree);
  return tables;
}
