/** An app under test: answers mentions with a stream of counted words (`word1 word2 …`). */
export interface StreamApp {
  /** What a person writes to get that many words. */
  prompt(channel: string, words: number, wordGap: number): string;
  stop(): Promise<void>;
}
