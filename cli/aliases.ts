/** Aliases in words, and as a service lists them. */
import type { Alias, SteplogClient } from "../client/index.ts";
import { didYouMean } from "../schema/did-you-mean.ts";
import { SteplogError } from "../schema/errors.ts";
import { type ReadPage, allOf, largestPage } from "./pages.ts";

/** What an alias points at: "the base model demo", "step 500 of reviews (Q2hlY2twb2ludDo...)". */
export function pointsAt({ baseModel, checkpoint }: Alias): string {
  if (!checkpoint) return `the base model ${baseModel.name}`;
  return `step ${checkpoint.step} of ${checkpoint.fineTune.name} (${checkpoint.id})`;
}

/** A list of the API that has no cursors but the names. */
export function aliasesOf(client: SteplogClient): ReadPage<Alias> {
  return async ({ first, after }) => {
    const ask = async (count: number, name: string | null) =>
      client.aliases({ first: count, ...(name !== null && { after: name }) });
    const nodes = await ask(Math.min(first, largestPage), after);
    const endCursor = nodes.at(-1)?.name ?? null;
    return {
      nodes,
      pageInfo: { hasNextPage: nodes.length === first && (await ask(1, endCursor)).length > 0, endCursor },
    };
  };
}

/** NOT_FOUND, with the name that may be meant. */
export async function noSuchAlias(client: SteplogClient, name: string): Promise<SteplogError> {
  const known = await allOf(aliasesOf(client)).catch(() => []);
  const hint = didYouMean(
    name,
    known.map((alias) => alias.name),
  );
  const message = `There is no alias ${JSON.stringify(name)}.${hint} List them: steplog alias list`;
  return new SteplogError("NOT_FOUND", message);
}
