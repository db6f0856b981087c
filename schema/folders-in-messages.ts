/**
 * What is told to clients has no paths of the service's disks: they are no client's business. A message keeps the end of a path,
 * which names what is wrong for those who run the service; a log of a worker has all of it.
 */
import type { ErrorCode, SteplogError } from "./errors.ts";
import { withIssues } from "./errors.ts";

/** An absolute path: not a part of an address, and no further than a space, a quote or a bracket. */
const paths = /(?<![^\s"'`([{=])(?:\/[^/\s"'`()[\]{}<>:;,]+)+/gu;

/** The same text with the end of each path alone: demo/config.json of /srv/steplog/models/demo/config.json. */
export function withoutFolders(text: string): string {
  return text.replaceAll(paths, (path) => {
    const [, rest = ""] = /^\/(.*)$/u.exec(path) ?? [];
    return ending(rest.split("/")).join("/");
  });
}

/** The paths that `withoutFolders` shortens. */
export function foldersIn(text: string): string[] {
  return [...text.matchAll(paths)].map(([path]) => path.replace(/\.+$/u, ""));
}

/** At most the last two parts, and never all of them. */
function ending(parts: readonly string[]): readonly string[] {
  return parts.slice(-Math.max(1, Math.min(2, parts.length - 1)));
}

/** What is wrong with a machine or its files. Messages with other codes may quote what a client sent, which has slashes too. */
const ofMachines = new Set<ErrorCode>([
  "NOT_FOUND",
  "MODEL_INVALID",
  "MODEL_UNSUPPORTED",
  "BASE_MISMATCH",
  "DEVICE_UNAVAILABLE",
  "DATA_CORRUPT",
  "UNAVAILABLE",
  "OUT_OF_MEMORY",
  "INTERNAL",
]);

/** The error as clients may read it. */
export function toldToClients(error: SteplogError): SteplogError {
  const { code, message, issues } = error;
  if (!ofMachines.has(code)) return error;
  const told = issues.map((issue) => ({ ...issue, message: withoutFolders(issue.message) }));
  return withIssues(error, told, withoutFolders(message));
}
