/** A range of the parsed text in UTF-16 units; `end` is exclusive. */
export interface Range {
  start: number;
  end: number;
}

/** A block also has the column in which it begins, counted from 0 with tab stops every four. */
interface Block extends Range {
  column: number;
}

export interface Root extends Block {
  type: 'root';
  children: Nodes[];
}
export interface Paragraph extends Block {
  type: 'paragraph';
  children: Nodes[];
}
export interface Heading extends Block {
  type: 'heading';
  children: Nodes[];
}
export interface ThematicBreak extends Block {
  type: 'thematicBreak';
}
export interface Blockquote extends Block {
  type: 'blockquote';
  children: Nodes[];
}
export interface List extends Block {
  type: 'list';
  isOrdered: boolean;
  /** The number of the first item; `null`: the list is not numbered. */
  first: number | null;
  children: ListItem[];
}
export interface ListItem extends Block {
  type: 'listItem';
  /** Whether its box is ticked; `null`: it has no box. */
  isChecked: boolean | null;
  children: Nodes[];
}
export interface Code extends Block {
  type: 'code';
  lang: string | null;
  value: string;
  /** The opening and closing line, if they exist; empty for indented code. */
  fences: Range[];
}
export interface Definition extends Block {
  type: 'definition';
  identifier: string;
  url: string;
  /** The offset of its colon. */
  colon: number;
}
export interface Table extends Block {
  type: 'table';
  children: TableRow[];
}
export interface TableRow extends Range {
  type: 'tableRow';
  children: TableCell[];
}
export interface TableCell extends Range {
  type: 'tableCell';
  children: Nodes[];
}

export interface Text extends Range {
  type: 'text';
  value: string;
}
export interface InlineCode extends Range {
  type: 'inlineCode';
  value: string;
}
export interface Break extends Range {
  type: 'break';
}
export interface Emphasis extends Range {
  type: 'emphasis' | 'strong' | 'delete';
  children: Nodes[];
}

/** The part of a link in parentheses. */
export interface Resource {
  /** The offset of the `(`. */
  opens: number;
  /** With its `<` and `>`, if it has them; `null`: the parentheses are empty. */
  destination: Range | null;
}
export interface Link extends Range {
  type: 'link';
  url: string;
  children: Nodes[];
  /** `null`: the text holds the address itself. */
  resource: Resource | null;
}
export interface Image extends Range {
  type: 'image';
  url: string;
  alt: string;
  resource: Resource;
}
export interface LinkReference extends Range {
  type: 'linkReference';
  identifier: string;
  children: Nodes[];
}
export interface ImageReference extends Range {
  type: 'imageReference';
  identifier: string;
  alt: string;
}

export type Nodes =
  | Root
  | Paragraph
  | Heading
  | ThematicBreak
  | Blockquote
  | List
  | ListItem
  | Code
  | Definition
  | Table
  | TableRow
  | TableCell
  | Text
  | InlineCode
  | Break
  | Emphasis
  | Link
  | Image
  | LinkReference
  | ImageReference;
