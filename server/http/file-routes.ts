/** Files that belong to something of a project, by the paths that lead to them. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { SteplogError } from "../../schema/errors.ts";
import type { ProjectStore } from "../../store/store.ts";
import { sendDataset, sendExport, sendLog, sendRunLog, sendWeights } from "./downloads.ts";
import { sendProject } from "./project-export.ts";

interface Asking {
  readonly store: ProjectStore;
  readonly url: URL;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

type Parts = Readonly<Record<"id" | "form" | "name", string>>;

interface FileRoute {
  /** ":id" is any text without "/"; ":form" and ":name" are letters, digits, ".", "_" and "-". */
  readonly path: string;
  /** What the id is of, as in a global id. */
  readonly type: "Checkpoint" | "Dataset" | "FineTune" | "Project";
  readonly send: (asking: Asking, parts: Parts) => Promise<void>;
}

/** All of them: tests walk this list with keys of other projects. */
export const fileRoutes: readonly FileRoute[] = [
  {
    path: "/checkpoints/:id/log.steplog",
    type: "Checkpoint",
    send: ({ store, request, response }, { id }) => sendLog(store, id, request, response),
  },
  {
    path: "/checkpoints/:id/weights.safetensors",
    type: "Checkpoint",
    send: ({ store, request, response }, { id }) => sendWeights(store, id, null, request, response),
  },
  {
    path: "/checkpoints/:id/weights/:name",
    type: "Checkpoint",
    send: ({ store, request, response }, { id, name }) => sendWeights(store, id, name, request, response),
  },
  {
    path: "/checkpoints/:id/exports/:form/:name",
    type: "Checkpoint",
    send: ({ store, request, response }, { id, form, name }) =>
      sendExport(store, id, { form, name }, request, response),
  },
  {
    path: "/datasets/:id/rows.jsonl",
    type: "Dataset",
    send: ({ store, request, response }, { id }) => sendDataset(store, id, request, response),
  },
  {
    path: "/projects/:id/export",
    type: "Project",
    send: ({ store, url, request, response }, { id }) => sendProject(store, id, url, request, response),
  },
  {
    path: "/fine-tunes/:id/log.steplog",
    type: "FineTune",
    send: ({ store, request, response }, { id }) => sendRunLog(store, id, request, response),
  },
];

const compiled = fileRoutes.map((route) => {
  const pattern = route.path
    .replaceAll(".", String.raw`\.`)
    .replaceAll(/:(\w+)/gu, (_, part) => `(?<${String(part)}>${part === "id" ? "[^/]+" : String.raw`[\w.-]+`})`);
  return { route, pattern: new RegExp(`^${pattern}$`, "u") };
});

/** What sends the file at a path; null where there is none. */
export function fileAt(pathname: string): ((asking: Asking) => Promise<void>) | null {
  for (const { route, pattern } of compiled) {
    const groups = pattern.exec(pathname)?.groups;
    if (!groups) continue;
    const { id = "", form = "", name = "" } = groups;
    return (asking) => route.send(asking, { id: decodePart(id), form, name });
  }
  return null;
}

/** @throws INVALID_ARGUMENT */
export function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new SteplogError("INVALID_ARGUMENT", "The path is not valid percent-encoded UTF-8.");
  }
}
