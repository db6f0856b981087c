/** A chart of horizontal bars as SVG: groups with a title, bars with a label and a value. */

interface Bar {
  readonly label: string;
  readonly value: number;
  /** Text beside the bar. */
  readonly text: string;
  readonly ours: boolean;
}

export interface Group {
  readonly title: string;
  readonly bars: readonly Bar[];
}

const width = 760;
const labelWidth = 190;
const textWidth = 170;
const rowHeight = 24;
const titleHeight = 40;
const margin = 16;

/** Legible on light and dark pages: the colours follow the viewer's colour scheme. */
const style = `
  .bar { fill: #8c959f; }
  .ours { fill: #1a7f64; }
  @media (prefers-color-scheme: dark) {
    .bar { fill: #6e7681; }
    .ours { fill: #3fb68b; }
  }`;

const textStyle = `
  text { font: 13px system-ui, sans-serif; fill: #24292f; }
  .title { font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
  }`;

export function barChart(title: string, groups: readonly Group[]): string {
  const parts: string[] = [];
  let y = margin;
  for (const group of groups) {
    parts.push(textAt(margin, y + titleHeight - 14, group.title, "title"));
    y += titleHeight;
    const most = Math.max(...group.bars.map(({ value }) => value));
    for (const bar of group.bars) {
      parts.push(barAt(y, bar, most));
      y += rowHeight;
    }
  }
  if (groups.length === 0) {
    parts.push(textAt(margin, y + titleHeight - 14, "Nothing has been measured yet.", "title"));
    y += titleHeight;
  }
  return chartOf({ title, width, height: y + margin, style, parts });
}

export interface Chart {
  readonly title: string;
  readonly width: number;
  readonly height: number;
  /** CSS of its parts, beside that of texts. */
  readonly style: string;
  readonly parts: readonly string[];
}

export function chartOf({ title, width: wide, height, style: own, parts }: Chart): string {
  const size = `width="${wide}" height="${height}" viewBox="0 0 ${wide} ${height}"`;
  const head = `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img">`;
  const styles = `<style>${textStyle}${own}\n</style>`;
  return [head, `<title>${escapeText(title)}</title>`, styles, ...parts, "</svg>", ""].join("\n");
}

function barAt(y: number, bar: Bar, most: number): string {
  const space = width - labelWidth - textWidth - margin;
  const length = Math.max(1, Math.round((space * bar.value) / most));
  const middle = y + rowHeight / 2 + 4;
  const kind = bar.ours ? "bar ours" : "bar";
  return [
    textAt(margin, middle, bar.label),
    `<rect class="${kind}" x="${labelWidth}" y="${y + 3}" width="${length}" height="${rowHeight - 6}" rx="2"/>`,
    textAt(labelWidth + length + 8, middle, bar.text),
  ].join("\n");
}

export function textAt(x: number, y: number, text: string, kind?: string): string {
  return `<text${kind === undefined ? "" : ` class="${kind}"`} x="${x}" y="${y}">${escapeText(text)}</text>`;
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
