/** Whose key this page has, and what it allows: what the key may not do is not offered. */
import { createContext } from "preact";
import { useContext, useRef } from "preact/hooks";
import { defaultProjectId } from "../../../schema/projects.ts";
import { globalIdOf } from "../../../schema/webhooks.ts";
import type { Scope } from "../../../client/schema-types.ts";
import type { Failure } from "./failure.ts";
import type { ViewerQuery } from "./operations.ts";
import { viewer } from "./operations.ts";
import { useAnswer } from "./query.ts";
import { readKey } from "./session.ts";

export type Viewer = ViewerQuery["viewer"];

/** What a deed needs: a scope, or to be an operator, who has ADMIN in the default project. */
export type Right = Scope | "OPERATOR";

interface Asked {
  /** Null without a key, and until the service has answered. */
  readonly viewer: Viewer | null;
  readonly failure: Failure | null;
  /**
   * No page is shown until the scopes of its key are known: otherwise it would request what the key is not allowed to read and
   * briefly show an error. Once shown, a page stays, with any text typed into it, even if the key is revoked.
   */
  readonly showsPages: boolean;
}

/** Asked by the frame, for every page in it. */
export function useViewer(): Asked {
  const hasKey = readKey() !== "";
  const { data, failure } = useAnswer(viewer, {}, { skip: !hasKey });
  const shown = useRef(false);
  shown.current ||= !hasKey || data !== null;
  return { viewer: data?.viewer ?? null, failure, showsPages: shown.current };
}

export const ViewerContext = createContext<Viewer | null>(null);

/** Without a key, all is offered. */
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

/** Said where somebody would do it otherwise. */
export const needsScope = (scope: Scope) => `sign in with a key that has the scope ${scope}`;
