/** What steplog device install says of a device that it has installed. That it installs one: tests/devices/install.sh. */
import { expect, test } from "vitest";
import { inWords } from "../../cli/commands/device-install.ts";
import type { InstalledDevice } from "../../devices/install.ts";

const cpu: InstalledDevice = {
  name: "tfjs-cpu",
  format: 1,
  package: "@tensorflow/tfjs-node@4.22.0",
  description: "TensorFlow.js, @tensorflow/tfjs-node, TensorFlow 2.21.0 on CPU",
  library: "TensorFlow 2.21.0 of the wheel tensorflow-cpu",
  source: "wheel",
  installedAt: "2026-11-30T10:17:17.590Z",
  folder: "/var/lib/devices/tfjs-cpu",
  bytes: 1_234_000_000,
  precisions: ["float32"],
  onGpu: false,
  remarks: ["I0000 could not find cuda drivers"],
};

const told = [
  "Installed tfjs-cpu in 1m 35s: TensorFlow.js, @tensorflow/tfjs-node, TensorFlow 2.21.0 on CPU.",
  "library   TensorFlow 2.21.0 of the wheel tensorflow-cpu",
  "folder    /var/lib/devices/tfjs-cpu, 1.2 GB",
  "computes  products in float32; noise, update and losses agree with the plain device",
];

test("the one for processors: what it is, where, and how a worker uses it", () => {
  expect(inWords(cpu, 95)).toStrictEqual([...told, "A worker uses it with STEPLOG_DEVICE=tfjs-cpu."]);
});

test("the one for GPUs: what TensorFlow says of them, and what becomes of a worker where it found none", () => {
  const gpu = { ...cpu, name: "tfjs-gpu", onGpu: true } as const;
  expect(inWords(gpu, 95).slice(4)).toStrictEqual([
    "TensorFlow says: I0000 could not find cuda drivers",
    "A worker uses it with STEPLOG_DEVICE=tfjs-gpu.",
  ]);
  const without = inWords({ ...gpu, onGpu: false }, 95)
    .slice(5)
    .join(" ");
  expect(without).toMatch(/found no GPU here.*STEPLOG_DEVICE=tfjs-gpu fails at once.*on the processor\.$/u);
});
