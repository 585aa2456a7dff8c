import { isControl, isDigit, isLetter, isPunctuation, isSpace, isUnicodeSpace } from './characters.ts';

/** An address in the text, without marks. */
export interface BareLink {
  end: number;
  url: string;
}

const isAddressChar = (char: string) => isLetter(char) || isDigit(char) || /^[+\-._]$/.test(char);

/**
 * Finds GFM's links without marks. It remembers what it found about a stretch of its text, so that the cost grows only
 * in proportion to the text.
 */
export class BareLinks {
  readonly #text: string;
  /** No mail address begins before this offset. */
  #noMailBefore = 0;
  /** The last host that was read. */
  #host = { from: 0, end: 0, isValid: false };
  #trail = { from: 0, end: 0, isAtEnd: false };

  constructor(text: string) {
    this.#text = text;
  }

  linkAt(at: number): BareLink | null {
    return this.#mailAt(at) ?? this.#webLinkAt(at);
  }

  #mailAt(at: number): BareLink | null {
    const text = this.#text;
    const before = text.charAt(at - 1);
    if (at < this.#noMailBefore || !isAddressChar(text.charAt(at)) || before === '/' || isAddressChar(before))
      return null;
    let end = at;
    while (isAddressChar(text.charAt(end))) end += 1;
    this.#noMailBefore = end;
    if (text.charAt(end) !== '@') return null;
    end += 1;
    let dots = 0;
    for (; end < text.length; end += 1) {
      const char = text.charAt(end);
      if (char === '.') {
        const next = text.charAt(end + 1);
        if (!isLetter(next) && !isDigit(next)) break;
        dots += 1;
      } else if (!/^[A-Za-z0-9_-]$/.test(char)) break;
    }
    return dots > 0 && isLetter(text.charAt(end - 1)) ? { end, url: `mailto:${text.slice(at, end)}` } : null;
  }

  #webLinkAt(at: number): BareLink | null {
    const text = this.#text;
    const first = text.charAt(at).toLowerCase();
    const before = text.charAt(at - 1);
    if (first === 'w') {
      if (!/^(?:[\s(*_[\]~]|)$/.test(before) || !/^www\../is.test(text.slice(at, at + 5))) return null;
      const end = this.#findAddressEnd(at);
      return end === null ? null : { end, url: `http://${text.slice(at, end)}` };
    }
    if (first !== 'h' || isLetter(before)) return null;
    const scheme = /^https?:\/\//i.exec(text.slice(at, at + 8))?.[0];
    if (scheme === undefined) return null;
    const host = at + scheme.length;
    const char = text.charAt(host);
    if (char === '' || isControl(char) || isUnicodeSpace(char) || isPunctuation(char)) return null;
    const end = this.#findAddressEnd(host);
    return end === null ? null : { end, url: text.slice(at, end) };
  }

  #findAddressEnd(at: number): number | null {
    const host = this.#hostAt(at);
    return host.isValid && host.end > at ? this.#findPathEnd(host.end) : null;
  }

  /** Reads a host. It is valid if its last two parts hold no underscore. */
  #hostAt(at: number): { end: number; isValid: boolean } {
    const text = this.#text;
    if (this.#host.from <= at && at < this.#host.end) return this.#host;
    let end = at;
    while (end < text.length) {
      const char = text.charAt(end);
      if (char === '.' || char === '_') {
        if (this.#isTrailing(end)) break;
      } else if (isUnicodeSpace(char) || (char !== '-' && isPunctuation(char))) break;
      end += 1;
    }
    const parts = text.slice(Math.max(at, end - 1_000), end).split('.');
    this.#host = { from: at, end, isValid: !parts.slice(-2).some((part) => part.includes('_')) };
    return this.#host;
  }

  #findPathEnd(from: number): number {
    const text = this.#text;
    let open = 0;
    let end = from;
    for (; end < text.length; end += 1) {
      const char = text.charAt(end);
      if (char === '(') open += 1;
      else if (char === ')' && open > 0) open -= 1;
      else if (/^[!"&'),*.:;<?\]_~]$/.test(char)) {
        if (this.#isTrailing(end)) break;
      } else if (isUnicodeSpace(char)) break;
    }
    return end;
  }

  /** Whether only punctuation is left until the address ends: it does not belong to the address. */
  #isTrailing(at: number): boolean {
    if (this.#trail.from <= at && at < this.#trail.end) return this.#trail.isAtEnd;
    const text = this.#text;
    let end = at;
    let isAtEnd = false;
    for (;;) {
      const char = text.charAt(end);
      if (char === '<' || isUnicodeSpace(char)) {
        isAtEnd = true;
        break;
      }
      if (char === ']') {
        const next = text.charAt(end + 1);
        if (next === '(' || next === '[' || isUnicodeSpace(next)) {
          end += 1;
          isAtEnd = true;
          break;
        }
        end += 1;
      } else if (char === '&') {
        const reference = /^&[A-Za-z]{1,40};/.exec(text.slice(end, end + 42))?.[0];
        if (reference === undefined) break;
        end += reference.length;
      } else if (/^[!"'),*.:;?_~]$/.test(char)) end += 1;
      else break;
    }
    this.#trail = { from: at, end: Math.max(end, at + 1), isAtEnd };
    return isAtEnd;
  }
}

const MAIL_LABEL = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;

/** The address between the `<` at `at` and its `>`; `null`: there is none. */
export function enclosedLink(text: string, at: number): BareLink | null {
  let end = at + 1;
  for (; end < text.length; end += 1) {
    const char = text.charAt(end);
    if (char === '>') break;
    if (char === '<' || isSpace(char) || isControl(char)) return null;
  }
  if (text.charAt(end) !== '>') return null;
  const inside = text.slice(at + 1, end);
  if (/^[A-Za-z][A-Za-z0-9+.-]{1,31}:/.test(inside.slice(0, 40))) return { end: end + 1, url: inside };
  const mail = /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@/.exec(inside)?.[0];
  if (mail === undefined) return null;
  return inside
    .slice(mail.length)
    .split('.')
    .every((label) => MAIL_LABEL.test(label))
    ? { end: end + 1, url: `mailto:${inside}` }
    : null;
}
