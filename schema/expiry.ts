/** How things end by themselves, in the words that both sides share. */

/** What can be given a time at which it ends. */
export const expiringKinds = ["FINE_TUNE", "CHECKPOINT", "DATASET", "EVALUATION", "COMPLETION"] as const;
export type ExpiringKind = (typeof expiringKinds)[number];

/** What a project may keep for a time of its own. `WEIGHTS`: rebuilt weights and exports of checkpoints, since they were last used. */
export const keptKinds = ["FINE_TUNE", "CHECKPOINT", "DATASET", "EVALUATION", "COMPLETION", "WEIGHTS"] as const;
export type KeptKind = (typeof keptKinds)[number];

/** As the API calls them. */
export const keptNames = {
  fineTunes: "FINE_TUNE",
  checkpoints: "CHECKPOINT",
  datasets: "DATASET",
  evaluations: "EVALUATION",
  completions: "COMPLETION",
  weights: "WEIGHTS",
} as const satisfies Readonly<Record<string, KeptKind>>;
export type KeptName = keyof typeof keptNames;

/** Seconds that a project keeps what is created from now on; what is left out does not end by itself, or as the operator says. */
export type Keep = Readonly<Partial<Record<KeptKind, number>>>;

/** When something is to end, as its creator says it. */
export type Expiry = { readonly at: Date } | { readonly ttl: number } | { readonly never: true };

/** Ten years, in seconds. */
export const longestTtl = 315_360_000;

/** Unless the operator says otherwise: seconds that rebuilt weights and exports stay after they were last used. */
export const usualKeepExportsS = 2_592_000;
