/** What a noun of one viewer's store is made from. */
import type { Scope, Viewer } from "../../schema/projects.ts";
import type { Nouns } from "../nouns.ts";
import type { Sight } from "./sight.ts";

export interface Room {
  readonly nouns: Nouns;
  readonly sight: Sight;
  readonly viewer: Viewer;
  /** @throws FORBIDDEN */
  readonly may: (scope: Scope) => void;
}
