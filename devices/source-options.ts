/** What a source of TensorFlow's library is told. */
import type { InstallableName } from "../engine/devices/tensorflow/packages.ts";
import type { Surroundings } from "./programs.ts";

export interface SourceOptions {
  readonly name: InstallableName;
  /** Folder of the device that is being made. */
  readonly root: string;
  readonly surroundings: Surroundings;
  /** A libtensorflow that the user names; null: looked for. */
  readonly libraryDir: string | null;
  /** What pip is asked for instead of the usual wheel, such as tensorflow==2.17.0; null: the usual one. */
  readonly wheel: string | null;
  /** Further arguments of pip. */
  readonly pipArgs: readonly string[];
  readonly onStep: (text: string) => void;
}
