/** What a viewer may do about models of the hub: see them, and an operator ask for them. They fill the disks of everybody's workers. */
import { SteplogError } from "../../schema/errors.ts";
import { type Scope, type Viewer, isOperator } from "../../schema/projects.ts";
import type { Nouns } from "../nouns.ts";

export type OwnDownloads = Pick<Nouns["modelDownloads"], "list" | "request" | "cancel">;

interface Room {
  readonly nouns: Nouns;
  readonly viewer: Viewer;
  readonly may: (scope: Scope) => void;
}

export function ownDownloadsOf({ nouns: { modelDownloads }, viewer, may }: Room): OwnDownloads {
  const mayAdd = () => {
    may("admin");
    if (isOperator(viewer)) return;
    const who = "Only an operator adds base models, which are everybody's: a key of the default project with admin.";
    throw new SteplogError("FORBIDDEN", who);
  };
  return {
    list: () => modelDownloads.list(),
    async request(download) {
      mayAdd();
      return modelDownloads.request(download);
    },
    async cancel(name) {
      mayAdd();
      return modelDownloads.cancel(name);
    },
  };
}
