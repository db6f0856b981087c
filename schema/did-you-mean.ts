/** What somebody means who mistyped a name. */
import leven from "leven";

/** Edits, as a share of the letters that were typed, and at most: more of them would be a guess. */
const share = 0.4;
const most = 3;

/** " Did you mean X?", to be put after what was not found; "" where no known name is near. */
export function didYouMean(given: string, known: Iterable<string>): string {
  const near = nearest(given, known);
  return near === null ? "" : ` Did you mean ${JSON.stringify(near)}?`;
}

/** The name with the fewest edits, the first of several; capitals do not count. */
function nearest(given: string, known: Iterable<string>): string | null {
  const typed = given.toLowerCase();
  const limit = Math.min(most, Math.max(1, Math.floor(share * given.length)));
  let best: { readonly name: string | null; readonly edits: number } = { name: null, edits: limit + 1 };
  for (const name of known) {
    const edits = leven(typed, name.toLowerCase(), { maxDistance: limit + 1 });
    // An edit of every letter leaves nothing of the name.
    if (edits < best.edits && edits < name.length) best = { name, edits };
  }
  return best.name;
}
