/** Patterns that select tensors and layers by name. */

/**
 * Whether a pattern matches a dotted name, or its end after a dot: "q_proj" and "0.self_attn.q_proj" match
 * "model.layers.0.self_attn.q_proj". In a pattern, * stands for any text between two dots and ** for any text.
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
