/** How many requests a key may send, in the words that both sides share. */

/**
 * What is counted: `graphql` in points, one for each started thousand of an operation's complexity; `openai` and `files`
 * (uploads and downloads) in requests.
 */
export const rateNames = ["graphql", "openai", "files"] as const;
export type RateName = (typeof rateNames)[number];

/** What a key may use in one window; 0 for as much as it likes. */
export type Rates = Readonly<Record<RateName, number>>;

/** Of a project or a key, by an operator; what is left out is as usual. */
export type OwnRates = Readonly<Partial<Rates>>;

/** A page of the service that is open in ten tabs stays below a tenth of it. */
export const usualRates: Rates = { graphql: 6_000, openai: 3_000, files: 1_200 };

/** Seconds of a window, which begins with the first request in it. */
export const rateWindowS = 60;

/** Complexity that one point pays for. */
export const complexityOfPoint = 1_000;

/** How far a key is with one limit. */
export interface RateUse {
  readonly name: RateName;
  readonly limit: number;
  readonly remaining: number;
  /** Seconds until the window ends. */
  readonly resetsInS: number;
}
