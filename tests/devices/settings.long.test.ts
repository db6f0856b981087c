/**
 * Every method, estimator and objective on one device (STEPLOG_TEST_ONLY): a few steps as a worker makes them, whose log
 * rebuilds on the plain device what was trained. That they learn is tested where it takes less time (tests/worker).
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { createPlainDevice } from "../../engine/devices/plain.ts";
import { openModelFolder } from "../../engine/model/files/folder.ts";
import { reconstruct } from "../../engine/replay/reconstruct.ts";
import { hyperparameterTable } from "../../schema/hyperparameter-table.ts";
import type { Hyperparameters } from "../../schema/hyperparameters.ts";
import { decodeStepLog, encodeEntries } from "../../schema/step-log.ts";
import { scratch } from "../support/models.ts";
import { device, modelPath, run } from "../worker/run.ts";

const few = { steps: 3, batchSize: 4, learningRate: 1e-4, answerTokens: 2, seed: 3 } as const;

const namesOf = <Name extends string>(values: Readonly<Record<Name, unknown>>) => Object.keys(values) as Name[];

const { method, estimator, objective } = hyperparameterTable;
const cases: readonly Partial<Hyperparameters>[] = [
  ...namesOf(method.values).map((name) => ({ method: name })),
  ...namesOf(estimator.values).map((name) => ({ estimator: name, estimates: 2 })),
  ...namesOf(objective.values).map((name) => ({ objective: name, epsilon: 1e-2 })),
];

test.each(cases)(`%j on ${device.name}`, { timeout: 60_000 }, async (settings) => {
  const { header, entries, checkpoint, messages } = await run({ ...few, ...settings }, { validationPath: null });
  expect(messages.filter(({ type }) => type === "step")).toHaveLength(few.steps);
  const log = decodeStepLog(encodeEntries(header, entries));
  const base = await openModelFolder(modelPath);
  const rebuilding = { base, log, device: createPlainDevice(), verify: false, replace: false } as const;
  const { digest } = await reconstruct({ ...rebuilding, out: join(await scratch(), "rebuilt") });
  expect(digest).toBe(checkpoint?.digest);
});
