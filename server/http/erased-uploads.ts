/**
 * Uploads of erased projects. They are files of this gateway alone, which an erasure elsewhere cannot reach: so each gateway looks
 * again whenever keys may have changed, as they do when a project goes, and every few seconds in any case.
 */
import type { Logger } from "pino";
import type { Store } from "../../store/store.ts";
import type { Uploads } from "./uploads.ts";

export interface ErasedUploadsOptions {
  readonly store: Store;
  readonly uploads: Uploads;
  readonly log: Logger;
}

/** Removes uploads of projects that are not there any more, again and again, until the signal. */
export async function removeErased({ store, uploads, log }: ErasedUploadsOptions, signal: AbortSignal): Promise<void> {
  try {
    for await (const _ of store.keys.changes(signal)) {
      // While Postgres or the disk does not answer, they stay, and are looked at again.
      await removeOnce(store, uploads).catch((error: unknown) => log.warn({ err: error }, failed));
    }
  } catch (error) {
    log.error({ err: error }, failed);
  }
}

const failed = "cannot remove uploads of erased projects";

async function removeOnce(store: Store, uploads: Uploads): Promise<void> {
  const ids = await uploads.projects();
  if (ids.length === 0) return;
  const there = await store.projects.byIds(ids);
  for (const [index, id] of ids.entries()) if (!there[index]) await uploads.removeOf(id);
}
