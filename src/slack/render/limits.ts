/**
 * All size limits of the renderer. Lengths are UTF-16 units after neutralising, which are never fewer than what Slack
 * counts. Source: docs/slack.md, Size limits; "ours" means that Slack documents nothing or that we chose less.
 */
export const LIMITS = {
  /**
   * One text message. Slack: 12,000 over all `markdown` blocks, about 13,200 over all blocks (measured, not
   * documented).
   */
  markdown: 9_000,
  /**
   * Of `markdown`, kept free for what rendering adds: closing marks, hosts behind labels, fences around tables. Ours.
   */
  markdownReserve: 500,
  /** The longest prefix that a message may repeat from the one before: a fence's first line, a table's header. Ours. */
  reopening: 1_500,
  /** One text message after Slack refused one for its size or its blocks. Ours. */
  smallerMarkdown: 3_500,
  /** Slack refuses larger `table` blocks; a Markdown table becomes one. */
  tableColumns: 20,
  tableRows: 100,
  /** Text objects and sections. */
  text: 3_000,
  contextElements: 10,
  actions: 25,
  buttonText: 75,
  buttonValue: 2_000,
  blocks: 50,
  /** `text` beside blocks: what a notification shows. Ours; Slack refuses more than 4,000 in an edit. */
  summary: 150,
  /**
   * Of a card that cannot show all: each of its parts. Ours; `rich_text` has no published limit but counts toward
   * 13,200.
   */
  cardInput: 2_400,
  /** Of a card: the model's own words. Ours. */
  ownWords: 900,
  /** People named on a card. Ours. */
  asked: 20,
  /** A menu's options, and an option's words. */
  menu: 100,
  option: 75,
  /** A line of a card or of a context block. Ours. */
  line: 300,
  /** Of a question card: everything that the model wrote. Ours. */
  questions: 8_000,
} as const;

export interface MarkdownLimits {
  markdown: number;
  markdownReserve: number;
  reopening: number;
}

/** The limits that a caller may lower. */
export interface RenderLimits extends MarkdownLimits {
  smallerMarkdown: number;
  text: number;
  blocks: number;
}
