/** Parts of a tokenizer.json are of named kinds, each with fields of its own. */
import { z } from "zod";

/** Makes a part of each kind from its JSON. */
export type Kinds<T> = Readonly<Record<string, (json: object) => T>>;

/** @throws if the fields of a kind are not as they should be */
export function kind<S extends z.ZodType, T>(schema: S, make: (config: z.infer<S>) => T): (json: object) => T {
  return (json) => make(schema.parse(json));
}

/** @throws by name if `json` is of no kind in `kinds` */
export function partOf<T>(kinds: Kinds<T>, json: unknown): T {
  const { type } = z.looseObject({ type: z.string() }).parse(json);
  const make = Object.hasOwn(kinds, type) ? kinds[type] : undefined;
  if (!make) throw new Error(`Steplog has no ${JSON.stringify(type)}, and would cut texts otherwise without it`);
  return make(Object(json) as object);
}

export const oneCharacter = z.string().refine((text) => Array.from(text).length === 1, "is not one character");
