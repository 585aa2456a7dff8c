/** One app's line: its delay (ms) at each length of an answer (s). */
export interface Line {
  name: string;
  points: readonly { seconds: number; ms: number }[];
}

const COLOURS = ['#1264a3', '#e01e5a', '#2eb67d', '#ecb22e'];
const [WIDTH, HEIGHT, EDGE] = [640, 360, 60];
/** Below it nobody sees a difference. */
const LEAST_MS = 100;

/** A chart of delays over the length of an answer, as SVG. */
export function delayChart(title: string, lines: readonly Line[]): string {
  const points = lines.flatMap((line) => line.points).filter(({ ms }) => Number.isFinite(ms));
  const longest = Math.max(1, ...points.map(({ seconds }) => seconds));
  // Some are a hundred times as slow as others, so each mark is ten times the one below.
  const marks = [LEAST_MS];
  while ((marks.at(-1) ?? 0) < Math.max(...points.map(({ ms }) => ms))) marks.push((marks.at(-1) ?? 0) * 10);
  const decades = Math.max(1, marks.length - 1);
  const x = (seconds: number) => EDGE + (seconds / longest) * (WIDTH - 2 * EDGE);
  const y = (ms: number) =>
    HEIGHT - EDGE - (Math.log10(Math.max(ms, LEAST_MS) / LEAST_MS) / decades) * (HEIGHT - 2 * EDGE);
  const text = (at: [number, number], words: string, colour = '#1d1c1d') =>
    `<text x="${at[0].toFixed(1)}" y="${at[1].toFixed(1)}" fill="${colour}">${words}</text>`;
  const drawn = lines.flatMap(({ name, points: own }, index) => {
    const colour = COLOURS[index % COLOURS.length] ?? '#1d1c1d';
    const known = own.filter(({ ms }) => Number.isFinite(ms));
    const path = known.map(({ seconds, ms }) => `${x(seconds).toFixed(1)},${y(ms).toFixed(1)}`).join(' ');
    return [
      `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      text([EDGE + 8, 46 + index * 16], name, colour),
    ];
  });
  const seconds = [...new Set(points.map((point) => point.seconds))];
  const ticks = [
    ...seconds.map((at) => text([x(at) - 10, HEIGHT - EDGE + 18], `${at} s`)),
    ...marks.map((ms) => text([8, y(ms)], ms < 1_000 ? `${ms} ms` : `${ms / 1_000} s`)),
  ];
  const axes = `<path d="M${EDGE} ${EDGE}V${HEIGHT - EDGE}H${WIDTH - EDGE}" fill="none" stroke="#868686"/>`;
  const body = [text([EDGE, 24], title), axes, ...ticks, ...drawn].join('\n');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">\n${body}\n</svg>\n`;
}
