/** Who is signed in, and what that allows: pages offer nothing else. */
import type { Scope } from "../../../client/schema-types.ts";
import type { Failure } from "../api/failure.ts";
import { useAnswer } from "../api/query.ts";
import { readKey } from "../api/session.ts";
import { allows } from "../api/viewer.ts";
import { whoOperates } from "./operations.ts";

export interface Who {
  readonly project: { readonly id: string; readonly name: string };
  readonly scopes: readonly Scope[];
  /** Id of the key that this page has; null without one, and for the token of the environment. */
  readonly keyId: string | null;
  /** May act for all projects: ADMIN in the default one. */
  readonly operator: boolean;
  /** The service asks for no key, since it has none. */
  readonly open: boolean;
}

export function useWho(): { readonly who: Who | null; readonly failure: Failure | null } {
  const { data, failure } = useAnswer(whoOperates, {});
  if (data === null) return { who: null, failure };
  const { project, scopes, apiKey } = data.viewer;
  const who: Who = {
    project,
    scopes,
    keyId: apiKey?.id ?? null,
    operator: allows(data.viewer, "OPERATOR"),
    open: apiKey === null && readKey() === "",
  };
  return { who, failure };
}

export const scopeWords: Readonly<Record<Scope, string>> = {
  READ: "See what the project has. All others but INFER include it.",
  WRITE: "Store datasets, register models, set aliases, share.",
  TRAIN: "Create, stop and delete runs, and have weights rebuilt.",
  INFER: "Ask models, and read their answers.",
  ADMIN: "Manage the project's keys and webhooks; in the default project, all projects.",
};
