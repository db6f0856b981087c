/** Rows, as files of several formats. */
import { parquetWriteBuffer } from "hyparquet-writer";
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { checkDataset } from "../../../dataset/jsonl.ts";
import type { makeDataset } from "../../../dataset/tasks.ts";
import { limitsFor } from "../../../sandbox/limits.ts";
import { Sandbox } from "../../../sandbox/sandbox.ts";
import { programPath } from "../../../schema/package.ts";
import type { Door, OpenDoor } from "../door.ts";
import { once, put } from "../door.ts";
import { mutateBytes, mutateJson } from "../mutate.ts";

const rows = [
  { prompt: "The soup was cold. It was", completion: " terrible" },
  { prompt: "A fine day.", completion: " great", candidates: [" great", " terrible"], weight: 0.5 },
  { input_ids: [1, 2, 3, 4], labels: [-100, -100, 3, 4] },
  {
    messages: [
      { role: "system", content: "Be brief." },
      { role: "user", content: "Hello" },
      { role: "assistant", content: "Hi", weight: 1 },
    ],
  },
];
const lines = rows.map((row) => JSON.stringify(row));

async function jsonLines(): Promise<Door> {
  const whole = Buffer.from(`${lines.join("\n")}\n`);
  return {
    input(random) {
      if (random.below(2) === 0) return mutateBytes(whole, random);
      const changed = lines.map((line) => (random.below(2) === 0 ? mutateJson(line, random) : Buffer.from(line)));
      return Buffer.concat(changed.flatMap((line) => [line, Buffer.from("\n")]));
    },
    feed: async (bytes) => void (await checkDataset(once(bytes))),
  };
}

async function parquet(folder: string): Promise<Door> {
  const column = (name: string, data: unknown[]) => ({ name, data });
  const numbers = Array.from({ length: 200 }, (_, row) => row);
  const seeds = [
    parquetWriteBuffer({
      columnData: [
        column(
          "prompt",
          numbers.map((row) => `Row ${row % 7} was`),
        ),
        column(
          "completion",
          numbers.map((row) => (row % 2 === 0 ? " great" : " bad")),
        ),
      ],
    }),
    parquetWriteBuffer({
      rowGroupSize: 10,
      columnData: [column("label", numbers), column("text", numbers.map(String))],
    }),
  ].map((buffer) => new Uint8Array(buffer));
  return fileDoor(folder, seeds);
}

/** Formats that are told apart by how they begin. */
async function otherFormats(folder: string): Promise<Door> {
  const seeds = [
    'prompt,completion\n"a, ""quoted"" one",x\nsecond,y\n',
    "\uFEFFprompt;completion\r\none;x\r\n",
    "messages\ttools\n[]\t\n",
    JSON.stringify(rows),
    JSON.stringify(rows, null, 2),
    '{"instruction":"Say hi","input":"","output":"hi"}\n',
    '{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"<think>b</think> c"}]}\n',
    "A line of text.\nAnother one.\n",
  ].map((text) => Buffer.from(text));
  return fileDoor(folder, seeds);
}

/** As the gateway reads a file: in the sandbox, which ends what does not end by itself. */
async function fileDoor(folder: string, seeds: readonly Uint8Array[]): Promise<Door> {
  const sandbox = new Sandbox();
  const door: Door = {
    input: (random) => mutateBytes(random.of(seeds), random),
    async feed(bytes) {
      const path = await put(folder, "rows", bytes);
      const to = join(folder, "made");
      // A child that was killed may have left it.
      await rm(to, { force: true });
      try {
        await sandbox.run<typeof makeDataset>({
          file: programPath("dataset/tasks"),
          name: "makeDataset",
          input: { path, preparation: null, to },
          limits: limitsFor((await stat(path)).size),
          blame: { code: "DATASET_INVALID", doing: "Reading the dataset" },
        });
      } finally {
        await rm(to, { force: true });
      }
    },
    close: async () => sandbox.close(),
  };
  // On a busy machine it takes long to start a process, which is no fault of an input.
  await door.feed(seeds[0] ?? new Uint8Array());
  return door;
}

export const rowDoors: Readonly<Record<string, OpenDoor>> = {
  "JSON Lines": jsonLines,
  parquet,
  "other formats of rows": otherFormats,
};
