/** Logs that releases wrote rebuild the weights that they trained (tests/histories/README.md). */
import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { writeReplayed } from "../../engine/replay/reconstruct.ts";
import { decodeStepLog } from "../../schema/step-log.ts";
import { scratch } from "../support/models.ts";
import { openDevices } from "../support/open-devices.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const histories = `${root}/tests/histories`;
const versions = readdirSync(histories, { withFileTypes: true }).filter((entry) => entry.isDirectory());
const devices = await openDevices();

describe.each(versions.map(({ name }) => name))("version %s", (version) => {
  const digests = JSON.parse(readFileSync(`${histories}/${version}/digests.json`, "utf8")) as Record<
    string,
    { base: string; digest: string }
  >;
  const logs = readdirSync(`${histories}/${version}`).filter((name) => name.endsWith(".steplog"));

  test("has a digest for each log", () => {
    expect(logs.map((name) => name.replace(".steplog", "")).toSorted()).toStrictEqual(Object.keys(digests).toSorted());
  });

  const cases = Object.keys(digests).flatMap((name) => devices.map((device) => ({ name, device, on: device.name })));
  test.each(cases)("$name, on $on", async ({ name, device }) => {
    const { base = "", digest } = digests[name] ?? {};
    const log = decodeStepLog(readFileSync(`${histories}/${version}/${name}.steplog`));
    const written = await writeReplayed(await openModelFolder(`${root}/${base}`), log, device, await scratch());
    expect(written.digest).toBe(digest);
  });
});
