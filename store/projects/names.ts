/**
 * Keys and names that clients choose are each project's own. In the tables they are unique, as the release before wants them:
 * those of the default project are stored as they were given, others with the id of their project in front.
 */
import { defaultProjectId } from "../../schema/projects.ts";

/** An idempotency key, as it is stored. */
export function storedKey(projectId: string, key: string): string;
export function storedKey(projectId: string, key: string | null | undefined): string | null;
export function storedKey(projectId: string, key: string | null | undefined): string | null {
  return key == null || projectId === defaultProjectId ? (key ?? null) : `${projectId}/${key}`;
}

/** The name of an alias, as it is stored: names have no slash. */
export function storedName(projectId: string, name: string): string {
  return projectId === defaultProjectId ? name : `${projectId}/${name}`;
}

/** The name of an alias, as clients know it. */
export function plainName(stored: string): string {
  return stored.slice(stored.indexOf("/") + 1);
}
