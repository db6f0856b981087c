/** steplog reconstruct --base FOLDER --log FILE --out FOLDER [--verify [all]] [--merge] */
import { resolve } from "node:path";
import { chooseDevice } from "../../engine/devices/choose.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { reconstruct } from "../../engine/replay/reconstruct.ts";
import type { Verification } from "../../engine/replay/verify.ts";
import { SteplogError } from "../../schema/errors.ts";
import { decodeStepLog } from "../../schema/step-log.ts";
import { readUserFile } from "../files.ts";
import { ProgressLine, print, printJson } from "../output.ts";
import { formatBytes } from "../../schema/units.ts";

export interface ReconstructOptions {
  base: string;
  log: string;
  out: string;
  device: string;
  verify?: true | "all";
  digest?: string;
  force?: true;
  merge?: true;
  json?: true;
}

export async function reconstructCommand(options: ReconstructOptions): Promise<void> {
  const log = decodeStepLog(await readUserFile(options.log));
  const base = await openModelFolder(resolve(options.base));
  const { device } = await chooseDevice(options.device);
  const progress = new ProgressLine();
  const result = await reconstruct({
    base,
    log,
    device,
    out: resolve(options.out),
    verify: options.verify ?? false,
    replace: options.force ?? false,
    merge: options.merge ?? false,
    onProgress: (stage, done, total) => progress.show(`${stage} ${Math.floor((100 * done) / total)}%`),
  });
  progress.end();
  if (options.digest !== undefined && options.digest !== result.digest) {
    throw new SteplogError(
      "LOG_INVALID",
      `The rebuilt weights have the digest ${result.digest}, and ${options.digest} was asked for. They are in ${options.out}.`,
    );
  }
  if (options.json) {
    printJson({ ...result, out: options.out });
    return;
  }
  print(`Rebuilt ${formatBytes(result.bytes)} of weights from ${result.entries} entries in ${options.out}.`);
  if (result.verified) print(verifiedLine(result.verified));
  print(`weights digest ${result.digest}`);
  print(`chain          ${result.chain}`);
}

function verifiedLine({ replayed, of }: Verification): string {
  const share = (100 * replayed) / of;
  const extent = replayed === of ? "all" : `${share.toPrecision(2)}%, spread over every tensor,`;
  return `Verified: the file was read back whole, and ${extent} of its ${of} weights were replayed a second time.`;
}
