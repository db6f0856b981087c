/** A door: a place where foreign bytes come in. Whatever comes, it takes or refuses them in time, with a typed error. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Random } from "./mutate.ts";

export interface Door {
  /** Makes the input of a number. */
  input(random: Random): Uint8Array;
  /** Feeds it. @throws SteplogError, of any code but INTERNAL, when the door refuses it */
  feed(input: Uint8Array): Promise<void>;
  /** Inputs that may be fed at once. Without it one, since its file has one path, and several such doors are opened. */
  readonly atOnce?: number;
  close?(): Promise<void>;
}

/** Opens a door in a folder for its files. */
export type OpenDoor = (folder: string) => Promise<Door>;

/** Writes a file and what folders it needs. */
export async function put(folder: string, name: string, bytes: Uint8Array | string): Promise<string> {
  const path = join(folder, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
  return path;
}

export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
