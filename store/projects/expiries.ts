/** The ends of what a project has, as one viewer may set them: whoever may create such things. */
import type { ExpiringKind } from "../../schema/expiry.ts";
import type { Scope } from "../../schema/projects.ts";
import type { Expiries } from "../ends/expiry.ts";
import type { Nouns } from "../nouns.ts";
import { type Sight, notThere } from "./sight.ts";

interface Room {
  readonly nouns: Nouns;
  readonly sight: Sight;
  /** @throws FORBIDDEN */
  readonly may: (scope: Scope) => void;
}

const scopeOf: Readonly<Record<ExpiringKind, Scope>> = {
  FINE_TUNE: "train",
  CHECKPOINT: "train",
  DATASET: "write",
  EVALUATION: "infer",
  COMPLETION: "infer",
};

export function ownExpiriesOf({ nouns, sight, may }: Room): Expiries {
  const isOwn: Readonly<Record<ExpiringKind, (id: string) => Promise<boolean>>> = {
    FINE_TUNE: (id) => sight.run(id),
    CHECKPOINT: (id) => sight.owns("CHECKPOINT", id),
    DATASET: (id) => sight.owns("DATASET", id),
    EVALUATION: async (id) => sight.own(await nouns.evaluations.get(id)) !== null,
    COMPLETION: async (id) => sight.own(await nouns.completions.get(id)) !== null,
  };
  return {
    async set(kind, id, expiry) {
      may(scopeOf[kind]);
      if (!(await isOwn[kind](id))) throw notThere(kind.toLowerCase().replace("_", "-"), id);
      return nouns.expiries.set(kind, id, expiry);
    },
  };
}
