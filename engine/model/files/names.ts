/** Patterns that choose tensors and layers by name. */

/**
 * Whether a dotted name is what a pattern says, or ends with it from behind a dot: "q_proj" and "0.self_attn.q_proj" fit
 * "model.layers.0.self_attn.q_proj". In a pattern * stands for any text between two dots, ** for any text.
 */
export function fitsPattern(pattern: string, name: string): boolean {
  const text = pattern.replaceAll(/\*\*|\*|[^\w*]/gu, (part) => wildcards.get(part) ?? `\\${part}`);
  return new RegExp(`(?:^|\\.)${text}$`, "u").test(name);
}

const wildcards = new Map([
  ["**", ".*"],
  ["*", "[^.]*"],
]);

export function lastPart(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1);
}
