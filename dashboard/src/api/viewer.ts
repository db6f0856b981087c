/** Whose key this page has, and what it allows. */
import type { ViewerQuery } from "./operations.ts";
import { viewer } from "./operations.ts";
import { useAnswer } from "./query.ts";
import { readKey } from "./session.ts";

/** Null without a key, and until the service has answered. */
export function useViewer(): ViewerQuery["viewer"] | null {
  const { data } = useAnswer(viewer, {}, { skip: readKey() === "" });
  return data?.viewer ?? null;
}

/** Whether runs may be created and changed. What most keys allow is there at once. */
export function useMayTrain(): boolean {
  return useViewer()?.scopes.includes("TRAIN") ?? true;
}

/** Said where somebody would create one otherwise. */
export const needsTrain = "sign in with a key that has the scope TRAIN";
