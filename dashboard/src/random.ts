/** Random names for things of this page. Browsers have no crypto.randomUUID on plain http, except on localhost. */
export function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(16)).join("-");
}
