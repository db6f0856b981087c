/** Projects, and what a key allows, in the words that both sides share. */

import type { OwnRates } from "./rates.ts";

/** Whose everything was before there were projects, and is where there are no keys. */
export const defaultProjectId = "00000000-0000-4000-8000-000000000000";

/**
 * `read`: what the project has, and what became of it. `write`: datasets, models, aliases. `train`: runs and the weights of
 * checkpoints. `infer`: answers, and the models that can give them. `admin`: the project itself and its keys; in the default
 * project, all projects. Every scope but `infer` includes `read`.
 */
export const scopes = ["read", "write", "train", "infer", "admin"] as const;
export type Scope = (typeof scopes)[number];

/** Who asks. */
export interface Viewer {
  readonly projectId: string;
  readonly scopes: ReadonlySet<Scope>;
  /** Null without keys, and for the token of the environment. */
  readonly key: { readonly id: string; readonly name: string } | null;
  /** What an operator has set for the key, or else for its project. */
  readonly rates?: OwnRates | undefined;
}

/** Whoever reaches a service without keys, and whoever has the token of its environment. */
export const operator: Viewer = { projectId: defaultProjectId, scopes: new Set(scopes), key: null };

/** Whether the viewer may act for all projects. */
export function isOperator({ projectId, scopes: given }: Viewer): boolean {
  return projectId === defaultProjectId && given.has("admin");
}

/** Of an API key, by this machine's clock: which one somebody means. What happens to it is decided by Postgres' clock. */
export function keyHasEnded(key: {
  readonly revokedAt: Date | string | null;
  readonly expiresAt: Date | string | null;
}) {
  return key.revokedAt !== null || (key.expiresAt !== null && new Date(key.expiresAt).getTime() <= Date.now());
}

/** What can be shared with another project, to be read. */
export const sharedKinds = ["CHECKPOINT", "DATASET"] as const;
export type SharedKind = (typeof sharedKinds)[number];
