/** Files of rows as tasks publish them: JSON Lines or parquet, distinguished by their first bytes. */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import { SteplogError } from "../schema/errors.ts";
import { programPath } from "../schema/package.ts";
import type { ParquetMessage } from "./parquet-thread.ts";
import type { NumberedObject } from "./prepare.ts";
import { jsonRows } from "./prepare.ts";
import type { TaskRow } from "./template.ts";

/** The objects of a file. For parquet, `line` is the number of the row, from 1. @throws DATASET_INVALID */
export async function* objectsOf(path: string): AsyncGenerator<NumberedObject> {
  if (!(await isParquet(path))) {
    yield* jsonRows(createReadStream(path));
    return;
  }
  let line = 0;
  for await (const row of parquetRows(path)) yield { line: ++line, value: JSON.parse(row) as TaskRow };
}

/** The rows of a parquet file as JSON Lines. @throws DATASET_INVALID */
export async function* parquetLines(path: string): AsyncGenerator<Uint8Array> {
  for await (const row of parquetRows(path)) yield Buffer.from(`${row}\n`);
}

export async function isParquet(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.toString("latin1") === "PAR1";
  } finally {
    await file.close();
  }
}

/** Heap of the thread in MB; it holds the values of a row group as objects. */
const heapMb = 2_048;

/** Each row as JSON text. */
async function* parquetRows(path: string): AsyncGenerator<string> {
  const resourceLimits = { maxOldGenerationSizeMb: heapMb };
  const thread = new Worker(programPath("dataset/parquet-thread"), { workerData: { path }, resourceLimits });
  try {
    for (;;) {
      const message = await messageOf(thread);
      if (message.type === "end") return;
      if (message.type === "refused") throw unreadable(message.message);
      yield* message.rows;
      thread.postMessage("next");
    }
  } finally {
    await thread.terminate();
  }
}

function messageOf(thread: Worker): Promise<ParquetMessage> {
  return new Promise((resolve, reject) => {
    const settle = (then: () => void) => {
      thread.off("message", taken).off("error", failed).off("exit", ended);
      then();
    };
    const taken = (message: ParquetMessage) => settle(() => resolve(message));
    const failed = (error: Error & { code?: string }) => {
      const large = error.code === "ERR_WORKER_OUT_OF_MEMORY";
      settle(() => reject(large ? unreadable("reading it takes more memory than allowed") : error));
    };
    const ended = () => settle(() => reject(new Error("The parquet thread exited unexpectedly.")));
    thread.once("message", taken).once("error", failed).once("exit", ended);
  });
}

function unreadable(reason: string): SteplogError {
  return new SteplogError("DATASET_INVALID", `The file cannot be read as parquet: ${reason}.`);
}
