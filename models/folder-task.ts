/** What is done to a foreign model folder in the sandbox: everything that opens it, and everything in it that runs. */
import { blameModel } from "../dataset/model-text.ts";
import { checkTokenizer } from "../dataset/tasks.ts";
import { openAdapter } from "../engine/model/adapters/peft.ts";
import { openModelFolder } from "../engine/model/files/folder.ts";
import type { Reporter } from "../sandbox/messages.ts";

export interface FolderToTry {
  readonly path: string;
  /** Folder of an adapter for the model, if there is one. */
  readonly adapter?: string | undefined;
}

export interface TriedFolder {
  readonly hasTokenizer: boolean;
}

/** Opens a folder and tries its tokenizer and chat template. @throws as openModelFolder, openAdapter and checkTokenizer */
export async function tryFolder({ path, adapter }: FolderToTry, reporter: Reporter): Promise<TriedFolder> {
  reporter.begin(blameModel(`Reading the config and the heads of the weight files in ${path}`));
  const { architecture } = await openModelFolder(path, () => reporter.progress());
  if (adapter !== undefined) {
    reporter.begin(blameModel(`Reading the adapter in ${adapter}`));
    await openAdapter(adapter, architecture);
  }
  return { hasTokenizer: await checkTokenizer({ folder: path }, reporter) };
}
