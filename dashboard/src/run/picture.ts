/** A chart as a picture that can be read on its own: its title and legend, on the ground that it has on the page. */
import type { Chart } from "./chart-data.ts";

const line = 22;
const margin = 12;

/** @param canvas what is drawn of the chart, in pixels of the screen */
export function pictureOf(canvas: HTMLCanvasElement, { title, unit, series }: Chart): HTMLCanvasElement {
  const style = getComputedStyle(canvas);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const scale = canvas.width / canvas.clientWidth;
  const [width, height] = [canvas.clientWidth + 2 * margin, canvas.clientHeight];
  const picture = document.createElement("canvas");
  const draw = picture.getContext("2d");
  if (!draw) return picture;
  const font = `13px ${style.fontFamily}`;
  draw.font = font;
  const legend = placed(
    series.map(({ label }) => draw.measureText(label).width + 34),
    width - 2 * margin,
  );
  const rows = (legend.at(-1)?.row ?? 0) + 1;
  picture.width = Math.round(width * scale);
  picture.height = Math.round((height + (rows + 1) * line + 2 * margin) * scale);
  draw.scale(scale, scale);
  draw.fillStyle = color("--card");
  draw.fillRect(0, 0, picture.width, picture.height);
  draw.textBaseline = "middle";
  draw.fillStyle = color("--text");
  draw.font = `600 15px ${style.fontFamily}`;
  draw.fillText(unit === "" ? title : `${title} (${unit})`, margin, margin + line / 2);
  draw.drawImage(canvas, margin, margin + line, canvas.clientWidth, height);
  draw.font = font;
  legend.forEach(({ left, row }, index) => {
    const one = series[index];
    if (!one) return;
    const [x, y] = [margin + left, margin + line + height + (row + 0.5) * line];
    draw.strokeStyle = color(one.color);
    draw.lineWidth = 3;
    draw.setLineDash(one.dashed ? [5, 4] : []);
    draw.beginPath();
    draw.moveTo(x, y);
    draw.lineTo(x + 16, y);
    draw.stroke();
    draw.fillStyle = color("--text");
    draw.fillText(one.label, x + 22, y);
  });
  return picture;
}

/** Things of these widths beside each other, in as many rows as they need. */
function placed(widths: readonly number[], room: number): { left: number; row: number }[] {
  let [left, row] = [0, 0];
  return widths.map((width) => {
    if (left > 0 && left + width > room) [left, row] = [0, row + 1];
    const place = { left, row };
    left += width;
    return place;
  });
}
