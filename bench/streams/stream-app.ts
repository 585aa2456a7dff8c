/** An app under test: answers mentions with a stream of counted words (`word1 word2 …`). */
export interface StreamApp {
  /** What a person writes to get that many words; `line`: how many of them a line has, 0: all are in one. */
  prompt(channel: string, words: number, wordGap: number, line: number): string;
  stop(): Promise<void>;
}
