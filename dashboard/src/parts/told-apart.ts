/** Names of things that may have the same one, for their buttons: whoever hears only the name must know which it is. */

interface Named {
  readonly id: string;
  readonly name: string;
  /** What tells it from others of its name. Left out, the end of its id. */
  readonly mark?: string;
}

/** By id: the name alone where no other has it, with its mark where several do. */
export function toldApart(all: readonly Named[]): ReadonlyMap<string, string> {
  const ids = new Map<string, Set<string>>();
  for (const { id, name } of all) ids.set(name, (ids.get(name) ?? new Set()).add(id));
  return new Map(
    all.map(({ id, name, mark = endOf(id) }) => [id, ids.get(name)?.size === 1 ? name : `${name} (${mark})`]),
  );
}

/** Of the UUID within an id of the service. */
const endOf = (id: string) => (isEncoded(id) ? atob(id) : id).slice(-8);
const isEncoded = (id: string) => id.length % 4 === 0 && /^[\w+/]+=*$/u.test(id);
