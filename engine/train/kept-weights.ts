/**
 * The weights of a run that gave way, in a file on this machine: coming back, it reads them instead of replaying its log. A copy
 * spares time and decides nothing. It is believed only if its digest is that of the checkpoint where the run left, and whatever
 * is wrong with it, the log is replayed.
 *
 *   RUN~ENTRIES.safetensors            the trained tensors, as they were after so many entries of the run's log
 *   .RUN~ENTRIES.partial-HOST-PID      one that is being written; deleted once its process has died
 *
 * The folder has a limit of bytes: the copies written longest ago go first. keptRuns lists what is there, for whoever knows
 * which runs still need theirs (worker/kept-weights.ts).
 */
import { mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TrainableTensor } from "../../schema/step-log.ts";
import { hostInNames, isAlive } from "../model/files/partial.ts";
import type { TensorLocation } from "../model/files/safetensors.ts";
import { bytesOf, readSafetensorsHeader, writeSafetensors } from "../model/files/safetensors.ts";
import type { Model } from "../model/model.ts";

export interface KeptFolder {
  /** Made when it is missing. */
  readonly folder: string;
  readonly budgetBytes: number;
}

/** Where in which run. */
export interface KeptPlace {
  readonly run: string;
  readonly entries: number;
}

export interface KeptRun extends KeptPlace {
  readonly path: string;
  readonly bytes: number;
  readonly writtenMs: number;
}

const extension = ".safetensors";
const nameOf = ({ run, entries }: KeptPlace) => `${run}~${entries}`;
const pathOf = ({ folder }: Pick<KeptFolder, "folder">, place: KeptPlace) =>
  join(folder, `${nameOf(place)}${extension}`);

/** Its bytes; null when the weights are more than the folder may hold. @throws what the disk says; nothing is left then */
export async function keepWeights(kept: KeptFolder, place: KeptPlace, model: Model): Promise<number | null> {
  const bytes = model.trainable.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  if (bytes > kept.budgetBytes) return null;
  await mkdir(kept.folder, { recursive: true });
  await makeRoom(kept, place, bytes);
  const partial = join(kept.folder, `.${nameOf(place)}.partial-${hostInNames}-${process.pid}`);
  try {
    const read = async function* read({ name }: TrainableTensor) {
      yield await model.read(name);
    };
    await writeFile(partial, writeSafetensors(model.trainable, read));
    await rename(partial, pathOf(kept, place));
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  return bytes;
}

/** Deletes other copies of the run, and then the oldest. */
async function makeRoom(kept: KeptFolder, { run }: KeptPlace, bytes: number): Promise<void> {
  const copies = (await keptRuns(kept)).toSorted((a, b) => a.writtenMs - b.writtenMs);
  const others = copies.filter((copy) => copy.run !== run);
  for (const { path } of copies.filter((copy) => copy.run === run)) await rm(path, { force: true });
  let held = others.reduce((sum, copy) => sum + copy.bytes, 0);
  for (const copy of others) {
    if (held + bytes <= kept.budgetBytes) return;
    await rm(copy.path, { force: true });
    held -= copy.bytes;
  }
}

/** The copies that are whole. What dead processes of this machine left of others is deleted. */
export async function keptRuns({ folder }: Pick<KeptFolder, "folder">): Promise<KeptRun[]> {
  const found: KeptRun[] = [];
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    const pid = /\.partial-(.*)-(\d+)$/u.exec(name);
    if (pid?.[1] === hostInNames && !isAlive(Number(pid[2]))) await rm(path, { force: true });
    const [, run = "", entries] = /^([^.~][^~]*)~(\d+)\.safetensors$/u.exec(name) ?? [];
    const file = run === "" ? null : await stat(path).catch(() => null);
    if (file) found.push({ path, run, entries: Number(entries), bytes: file.size, writtenMs: file.mtimeMs });
  }
  return found;
}

/** Where the tensors are in the run's copy, by name; null without one that has just these tensors. */
export async function findKept(
  kept: Pick<KeptFolder, "folder">,
  place: KeptPlace,
  trainable: readonly TrainableTensor[],
): Promise<ReadonlyMap<string, TensorLocation> | null> {
  const tensors = await readSafetensorsHeader(pathOf(kept, place)).catch(() => null);
  if (!tensors || tensors.length !== trainable.length) return null;
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const isSame = ({ name, dtype, shape }: TrainableTensor) => {
    const stored = byName.get(name);
    return stored?.dtype === dtype && stored.shape.join() === shape.join();
  };
  return trainable.every(isSame) ? byName : null;
}

/** The run goes on from it, or cannot. */
export async function forgetKept(kept: Pick<KeptFolder, "folder">, place: KeptPlace): Promise<void> {
  await rm(pathOf(kept, place), { force: true }).catch(() => {});
}
