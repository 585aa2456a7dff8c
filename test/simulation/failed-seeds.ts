/**
 * Seeds that found something wrong in the bridge, with what it was. A change of the simulated world tells other stories
 * under the same seeds; they stay, for a seed costs little.
 */
export const failedSeeds: readonly (readonly [seed: number, found: string])[] = [
  [9, 'after two losses text from the history was placed below text of before the second'],
  [24, 'a request id that was decided before a restart is asked about again, and no card was shown'],
  [27, 'what was heard before a handshake failed was shown once more after the history had told it'],
  [31, 'deltas that came after the history were appended to text that had them already'],
  [53, 'text from the history was placed below text that was still being said'],
  [57, 'the same, in an answer of several messages'],
  [73, 'a message dropped by Stop was never told of: Slack was away, then the process ended'],
  [83, 'the disk stored a Stop and said that it had failed: the dropped messages were forgotten'],
  [238, 'a late end of one turn closed the request that the next one had asked'],
  [260, 'a request was stored twice where the disk had only said that it failed'],
  [294, 'a card came to stand where a text had been refused, and had no buttons'],
  [475, 'the disk stored a message and said that it had failed: the next delivery did not wake the thread'],
  [509, 'the disk stored a decision and said that it had failed: the card was decided, and Letta never heard'],
  [7009, 'the disk stored a Stop and said that it had failed: the last view did not name what was dropped'],
];
