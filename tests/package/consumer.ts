/**
 * A program of somebody who installed the package: consumer.js URL PACKAGE_FOLDER. It trains a few steps on the service at URL,
 * follows them, and rebuilds the weights from the downloaded log. check.sh compiles and runs it beside the installed package.
 */
import { readFile } from "node:fs/promises";
import { SteplogClient, SteplogError, type FineTune } from "steplog/client";
import { readLog, replay, verifyBase } from "steplog/log";

const [url = "", folder = ""] = process.argv.slice(2);
const steplog = new SteplogClient({ url });

const dataset = await steplog.createDataset({ name: "demo", path: `${folder}/demo/train.jsonl` });
const { id } = await steplog.createFineTune({
  name: "a stranger's run",
  baseModel: "demo",
  dataset: dataset.id,
  hyperparameters: { steps: 5 },
});

const steps: number[] = [];
for await (const update of steplog.follow(id)) {
  if (update.type === "step") steps.push(update.step.step);
}
if (steps.join() !== "1,2,3,4,5") throw new Error(`follow gave the steps ${steps.join()}`);

const run: FineTune = await steplog.wait(id);
const [last] = run.checkpoints.nodes;
if (run.status !== "SUCCEEDED" || !last) throw new Error(`the run is ${run.status}: ${run.error?.message ?? ""}`);

await (await steplog.download(last.logUrl)).save("run.steplog");
const log = readLog(await readFile("run.steplog"));
const baseDir = `${folder}/demo/base`;
await verifyBase(log, baseDir);
const { digest } = await replay({ baseDir, log, outDir: "tuned", verify: true });
if (digest !== last.weightsDigest) throw new Error(`the log rebuilds ${digest}, not ${last.weightsDigest}`);

const refused = await steplog.fineTune("nothing").catch((error: unknown) => error);
if (!(refused instanceof SteplogError) || refused.code !== "INVALID_ARGUMENT") {
  throw new Error(`a wrong id is answered with ${String(refused)}`);
}
console.log(`A program trained ${steps.length} steps and rebuilt ${digest} from ${log.entries.length} entries.`);
