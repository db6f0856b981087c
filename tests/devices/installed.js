// installed.js JSON FOLDER: whether this is the report of `steplog device install tfjs-cpu --source wheel --json`.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [, , json = "", folder = ""] = process.argv;
const report = /** @type {Record<string, unknown>} */ (JSON.parse(json));
const { bytes, remarks, package: from, description, library, installedAt, ...rest } = report;
assert.deepEqual(rest, { name: "tfjs-cpu", folder, format: 1, source: "wheel", precisions: ["float32"], onGpu: false });
assert.match(String(from), /^@tensorflow\/tfjs-node@\d+\.\d+\.\d+$/u);
assert.match(String(description), /^TensorFlow\.js, @tensorflow\/tfjs-node, TensorFlow \d+\.\d+\.\d+ on CPU$/u);
assert.match(String(library), /^TensorFlow \d+\.\d+\.\d+ of the wheel tensorflow-cpu$/u);
assert(Math.abs(Date.now() - Date.parse(String(installedAt))) < 600_000, `installed at ${String(installedAt)}`);
assert(typeof bytes === "number" && bytes > 2e8 && bytes < 4e9, `${String(bytes)} bytes`);
assert(Array.isArray(remarks) && remarks.every((remark) => typeof remark === "string"));
const receipt = { format: 1, package: from, description, library, source: "wheel", installedAt };
assert.deepEqual(JSON.parse(readFileSync(join(folder, "installed.json"), "utf8")), receipt);
