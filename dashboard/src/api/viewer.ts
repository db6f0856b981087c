/** Whose key this page has, and what it allows: what the key may not do is not offered. */
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { defaultProjectId } from "../../../schema/projects.ts";
import { globalIdOf } from "../../../schema/webhooks.ts";
import type { Scope } from "../../../client/schema-types.ts";
import type { ViewerQuery } from "./operations.ts";
import { viewer } from "./operations.ts";
import { useAnswer } from "./query.ts";
import { readKey } from "./session.ts";

export type Viewer = ViewerQuery["viewer"];

/** What a deed needs: a scope, or to be an operator, who has ADMIN in the default project. */
export type Right = Scope | "OPERATOR";

/** Null without a key, and until the service has answered. Asked by the frame, for every page in it. */
export function useViewer(): Viewer | null {
  const { data } = useAnswer(viewer, {}, { skip: readKey() === "" });
  return data?.viewer ?? null;
}

export const ViewerContext = createContext<Viewer | null>(null);

/** What most keys allow is there at once. */
export function allows(who: Pick<Viewer, "project" | "scopes"> | null, right: Right): boolean {
  if (who === null) return true;
  // Every scope but INFER includes READ.
  if (right === "READ") return who.scopes.some((scope) => scope !== "INFER");
  if (right !== "OPERATOR") return who.scopes.includes(right);
  return who.scopes.includes("ADMIN") && who.project.id === globalIdOf("Project", defaultProjectId);
}

export function useMay(): (right: Right) => boolean {
  const who = useContext(ViewerContext);
  return (right) => allows(who, right);
}

/** Null as long as it is not known: for what would show an error otherwise. */
export function useReads(): boolean | null {
  const who = useContext(ViewerContext);
  return who === null && readKey() !== "" ? null : allows(who, "READ");
}

/** Said where somebody would do it otherwise. */
export const needsScope = (scope: Scope) => `sign in with a key that has the scope ${scope}`;
