/**
 * The text of a `.env` with these settings in it; `null` switches one off. A line that is there is replaced where it
 * stands, also one that is switched off; everything else stays as it is.
 */
export function withSettings(text: string, settings: Readonly<Record<string, string | null>>): string {
  const lines = text === '' ? [] : text.replace(/\n$/, '').split('\n');
  for (const [name, value] of Object.entries(settings)) {
    const on = lines.findIndex((line) => line.startsWith(`${name}=`));
    const off = lines.findIndex((line) => new RegExp(`^# ?${name}=`).test(line));
    const at = on >= 0 ? on : off;
    if (value === null) {
      if (on >= 0) lines[on] = `# ${name}=`;
    } else if (at >= 0) lines[at] = `${name}=${value}`;
    else lines.push(`${name}=${value}`);
  }
  return `${lines.join('\n')}\n`;
}
