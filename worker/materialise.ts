/** A checkpoint's weights as a safetensors file, rebuilt from the base and the log. */
import { writeFile } from "node:fs/promises";
import type { Device } from "../engine/devices/device.ts";
import { openModelFolder } from "../engine/model/folder.ts";
import { matchBase, replayedWeights } from "../engine/replay.ts";
import { decodeStepLog } from "../schema/step-log.ts";
import type { EngineMessage, MaterialiseRequest } from "./messages.ts";

/** @throws BASE_MISMATCH, MODEL_INVALID, LOG_INVALID */
export async function* runMaterialise(request: MaterialiseRequest, device: Device): AsyncGenerator<EngineMessage> {
  const base = await openModelFolder(request.modelPath);
  const log = decodeStepLog(request.log);
  await matchBase(base, log.header);
  await writeFile(request.weightsPath, replayedWeights(base, log, device), { flag: "wx" });
  yield { type: "done" };
}
