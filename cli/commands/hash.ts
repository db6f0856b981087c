/** steplog hash FOLDER */
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { print } from "../output.ts";

export async function hash(folder: string): Promise<void> {
  print(await baseHash(await openModelFolder(folder)));
}
