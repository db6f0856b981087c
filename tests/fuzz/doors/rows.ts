/** Rows, as files of several formats. */
import { parquetWriteBuffer } from "hyparquet-writer";
import { isParquet, parquetLines } from "../../../dataset/files.ts";
import { checkDataset } from "../../../dataset/jsonl.ts";
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
  return {
    input: (random) => mutateBytes(random.of(seeds), random),
    async feed(bytes) {
      const path = await put(folder, "rows.parquet", bytes);
      if (!(await isParquet(path))) return;
      for await (const line of parquetLines(path)) void line;
    },
  };
}

export const rowDoors: Readonly<Record<string, OpenDoor>> = { "JSON Lines": jsonLines, parquet };
