/** Pages of a list: checks Relay's arguments and asks the store, whose cursors are row ids. */
import { resolveCursorConnection } from "@pothos/plugin-relay";
import { SteplogError } from "../../schema/errors.ts";
import { limits } from "../../schema/limits.ts";
import type { Page } from "../../store/store.ts";
import { queryCost } from "./builder.ts";

const defaultSize = 20;

export interface PageArgs {
  readonly first?: number | null | undefined;
  readonly last?: number | null | undefined;
  readonly after?: string | null | undefined;
  readonly before?: string | null | undefined;
}

/** @param count how many rows there are in all; called where somebody asks for it */
export async function pageOf<R extends { readonly id: string }>(
  args: PageArgs,
  list: (page: Page) => Promise<R[]>,
  count: () => Promise<number>,
) {
  checkPage(args);
  const options = { args, defaultSize, maxSize: limits.pageSize, toCursor: (row: R) => row.id };
  return { ...(await resolveCursorConnection(options, list)), count };
}

/** Cost of a connection: its query, and the requested fields of each item. */
export function pageCost(args: PageArgs) {
  return { field: queryCost, multiplier: args.first ?? args.last ?? defaultSize };
}

function checkPage(args: PageArgs): void {
  for (const name of ["first", "last"] as const) {
    const size = args[name] ?? 0;
    if (size < 0 || size > limits.pageSize) refuse(name, `must be 0 to ${limits.pageSize}; it is ${size}`);
  }
  if (args.first != null && args.last != null) refuse("last", "cannot be given together with `first`");
  for (const name of ["after", "before"] as const) {
    if (args[name] && !uuid.test(args[name])) refuse(name, "must be a cursor that this API returned");
  }
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/iu;

function refuse(field: string, message: string): never {
  throw new SteplogError("INVALID_ARGUMENT", `${field} ${message}.`, [{ field, message }]);
}
