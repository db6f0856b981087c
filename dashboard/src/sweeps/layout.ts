/** Where the axes of parallel coordinates lie: upright beside each other, or, where there is little room, lying below each other. */

export interface Layout {
  readonly upright: boolean;
  readonly width: number;
  readonly height: number;
  /** Of each axis, in pixels. */
  readonly length: number;
  /** The place of each axis across it. */
  readonly across: (index: number) => number;
  /** The point at a place of an axis, from 0 to 1. */
  readonly point: (index: number, at: number) => readonly [x: number, y: number];
  /** Pixels between two axes. */
  readonly gap: number;
}

/** An upright axis needs this much for its title and its values. */
const leastGap = 110;
const uprightLength = 300;
const lyingGap = 96;
export const margins = { left: 84, right: 72, top: 84, bottom: 36, side: 30, lyingTop: 50 } as const;

export function layoutOf(count: number, width: number): Layout {
  const room = width - margins.left - margins.right;
  const gap = count > 1 ? room / (count - 1) : room;
  return gap >= leastGap ? upright(width, gap) : lying(count, width);
}

function upright(width: number, gap: number): Layout {
  const across = (index: number) => margins.left + index * gap;
  return {
    upright: true,
    width,
    height: margins.top + uprightLength + margins.bottom,
    length: uprightLength,
    gap,
    across,
    point: (index, at) => [across(index), margins.top + (1 - at) * uprightLength],
  };
}

function lying(count: number, width: number): Layout {
  const across = (index: number) => margins.lyingTop + index * lyingGap;
  const length = Math.max(1, width - 2 * margins.side);
  return {
    upright: false,
    width,
    height: across(count - 1) + 44,
    length,
    gap: lyingGap,
    across,
    point: (index, at) => [margins.side + at * length, across(index)],
  };
}

/** Where a label of a lying axis begins: those at the ends stay within it. */
export const anchorOf = (at: number) => (at < 0.05 ? "start" : at > 0.95 ? "end" : "middle");

const letterPixels = 7;
const linePixels = 18;
const between = 8;

/** Those of the labels that do not touch each other, both ends among them. */
export function apart<Tick extends { readonly at: number; readonly label: string }>(
  ticks: readonly Tick[],
  layout: Layout,
): Tick[] {
  const last = ticks.at(-1);
  const touches = (a: Tick, b: Tick) => spanOf(a, layout).end > spanOf(b, layout).start;
  const kept: Tick[] = [];
  for (const tick of ticks) {
    const before = kept.at(-1);
    if (tick !== last && ((before && touches(before, tick)) || (last && touches(tick, last)))) continue;
    kept.push(tick);
  }
  return kept;
}

/** What a label takes of its axis, in pixels, with room to the next. */
function spanOf(
  { at, label }: { readonly at: number; readonly label: string },
  { upright: isUpright, length }: Layout,
) {
  const size = isUpright ? linePixels : label.length * letterPixels + between;
  const share = isUpright ? 0.5 : { start: 0, middle: 0.5, end: 1 }[anchorOf(at)];
  const start = at * length - share * size;
  return { start, end: start + size };
}
