/** The post by which `doctor --channel` looks whether events and clicks arrive. */
export const SELF_TEST = {
  events: 'Self-test: events arrive.',
  noEvent: 'Self-test: no event came.',
  clicked: 'Self-test: the click arrived. Thank you.',
  noClick: 'Self-test: no click came.',
} as const;

export function selfTestText(mark: string, asksForClick: boolean): string {
  return asksForClick ? `Self-test ${mark}: please click.` : `Self-test ${mark}.`;
}
