/** Where TensorFlow's library can come from, in the order in which the sources are tried. */
import type { Library } from "./library.ts";
import type { SourceOptions } from "./source-options.ts";
import { libraryHere } from "./source-library.ts";
import { libraryOfWheel } from "./source-wheel.ts";

export const sourceNames = ["library", "wheel", "host"] as const;
export type SourceName = (typeof sourceNames)[number];

/** The library of a source to build against; null for the host, whose own installer builds. @throws StepFailure */
export function libraryOf(source: SourceName, options: SourceOptions): Promise<Library | null> {
  if (source === "library") return libraryHere(options);
  if (source === "wheel") return libraryOfWheel(options);
  return Promise.resolve(null);
}
