/** Patterns that select tensors and layers of a model by name. */

/** Names of a base model's parts that patterns may select. */
export interface PartNames {
  /** Stored names of the tensors that can be trained. */
  readonly tensors: readonly string[];
  /** Names in transformers of the linear layers that can get adapters. */
  readonly layers: readonly string[];
}

/**
 * Whether a pattern matches a dotted name, or its end after a dot: "q_proj" and "0.self_attn.q_proj" match
 * "model.layers.0.self_attn.q_proj". In a pattern, * stands for any text between two dots and ** for any text. The work is
 * at most the product of the lengths, whatever the pattern: it may be a stranger's.
 */
export function fitsPattern(pattern: string, name: string): boolean {
  const parts = pattern.match(/\*\*|./gsu) ?? [];
  // How many parts the name so far may have used; none at the start and after every dot.
  let used = new Set<number>([0]);
  for (const character of name) {
    used = afterCharacter(parts, withoutText(parts, used), character);
    if (character === ".") used.add(0);
  }
  return withoutText(parts, used).has(parts.length);
}

/** Stars may stand for no text. */
function withoutText(parts: readonly string[], used: ReadonlySet<number>): Set<number> {
  const all = new Set<number>();
  for (let count of used) {
    all.add(count);
    while (parts[count] === "*" || parts[count] === "**") all.add(++count);
  }
  return all;
}

function afterCharacter(parts: readonly string[], used: ReadonlySet<number>, character: string): Set<number> {
  const next = new Set<number>();
  for (const count of used) {
    const part = parts[count];
    if (part === "**" || (part === "*" && character !== ".")) next.add(count);
    else if (part === character) next.add(count + 1);
  }
  return next;
}

export function lastPart(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1);
}

/** A pattern that selects nothing: its place in the list, what was seen, and what there is. */
export interface Unmatched {
  readonly index: number;
  readonly seen: string;
  readonly advice: string;
}

/** The first pattern that matches no tensor; null if each matches one. */
export function unmatchedTensors(patterns: readonly string[], { tensors }: Pick<PartNames, "tensors">) {
  const ends = tensors.map((name) => name.split(".").slice(-2).join("."));
  return unmatched(patterns, tensors, "tensor", `Its tensors' names end with ${listOf(ends)}.`);
}

/** The first pattern that matches no linear layer; null if each matches one. */
export function unmatchedLayers(patterns: readonly string[], { layers }: Pick<PartNames, "layers">) {
  return unmatched(patterns, layers, "linear layer", `Its layers are called ${listOf(layers.map(lastPart))}.`);
}

function unmatched(patterns: readonly string[], names: readonly string[], kind: string, advice: string) {
  const index = patterns.findIndex((pattern) => !names.some((name) => fitsPattern(pattern, name)));
  if (index < 0) return null;
  return {
    index,
    seen: `${JSON.stringify(patterns[index])} matches no ${kind} of this model`,
    advice,
  } satisfies Unmatched;
}

const listOf = (names: readonly string[]) => [...new Set(names)].join(", ");
