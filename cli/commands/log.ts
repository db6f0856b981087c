/** steplog log FILE [--json] */
import type { Command } from "commander";
import type { StepLog } from "../../schema/step-log.ts";
import { decodeStepLog } from "../../schema/step-log.ts";
import { ofFile, readUserFile } from "../files.ts";
import { print, printJson } from "../output.ts";
import { counted, formatBytes } from "../../schema/units.ts";

export function define(command: Command): void {
  command
    .description("Check the chain of a .steplog file, and print what it contains.")
    .argument("<file>", "a .steplog file")
    .option("--json", "print one JSON object: header, entries, chain")
    .addHelpText("after", "\nExample:\n  steplog log run.steplog --json | jq .header.noise")
    .action(log);
}

async function log(path: string, options: { json?: true }): Promise<void> {
  const bytes = await readUserFile(path);
  const stepLog = ofFile(path, () => decodeStepLog(bytes));
  if (options.json) printJson(asJson(stepLog));
  else describe(stepLog, bytes.length);
}

function asJson({ header, entries, chain }: StepLog): unknown {
  return {
    header,
    entries: Array.from(entries, ({ seed, scalar, decay }) => ({
      seed: seed.toString(),
      scalar: float32Hex(scalar),
      ...(decay !== undefined && { decay: float32Hex(decay) }),
    })),
    chain: Buffer.from(chain).toString("hex"),
  };
}

function float32Hex(value: number): string {
  const bits = Buffer.alloc(4);
  bits.writeFloatBE(value);
  return bits.toString("hex");
}

function describe({ header, entries, chain }: StepLog, bytes: number): void {
  const elements = header.trainable.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  print(`base     ${header.base}`);
  print(`trains   ${counted(elements, "weight")} in ${counted(header.trainable.length, "tensor")}`);
  if (header.lora) {
    const { rank, alpha, seed } = header.lora;
    print(`adapter  LoRA of rank ${rank} and alpha ${alpha}, initialised with seed ${seed}`);
  }
  if (header.prefix)
    print(`adapter  prefix of ${counted(header.prefix.length, "token")}, initialised with seed ${header.prefix.seed}`);
  print(`noise    ${header.noise}, run seed ${header.seed}`);
  print(`settings ${JSON.stringify(header.hyperparameters)}`);
  print(`entries  ${entries.length} in ${formatBytes(bytes)}`);
  print(`chain    ${Buffer.from(chain).toString("hex")} (verified)`);
}
