/**
 * Compares learningRate AUTO with a grid of rates on the demo's base and rows: the validation accuracy after a run with each, by
 * method. docs/decisions/0010-auto-learning-rate.md has the results.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Device } from "../engine/devices/device.ts";
import type { Hyperparameters } from "../schema/hyperparameters.ts";
import { hyperparametersSchema } from "../schema/hyperparameters.ts";
import { runFineTune } from "../engine/train/run.ts";
import { openDevice } from "./device.ts";
import { demoTask, requestOf } from "./fine-tune.ts";

type Rate = Hyperparameters["learningRate"];

const mezo = { estimator: "SPSA", schedule: "CONSTANT" } as const;
const fzoo = { estimator: "FZOO", estimates: 4, schedule: "CONSTANT" } as const;
const lora = { method: "LORA", loraTargets: ["fc1", "fc2"] } as const;
const prefix = { method: "PREFIX", ...fzoo, estimates: 8 } as const;

/** Each has a grid around its usual rate that spans a factor of 30 or more. */
const subjects: readonly (readonly [string, Partial<Hyperparameters>, readonly number[]])[] = [
  ["the defaults", { steps: 150 }, [1e-3, 3e-3, 1e-2, 3e-2]],
  ["FULL, rademacher", { steps: 600, ...mezo }, [1e-5, 3e-5, 1e-4, 3e-4, 1e-3]],
  ["FULL, normal", { steps: 600, ...mezo, noise: "NORMAL" }, [1e-5, 3e-5, 1e-4, 3e-4, 1e-3]],
  ["FULL, batches of 4 rows", { steps: 600, ...mezo, batchSize: 4 }, [1e-5, 3e-5, 1e-4, 3e-4, 1e-3]],
  ["FULL, 4 estimates", { steps: 300, ...mezo, estimates: 4 }, [3e-5, 1e-4, 3e-4, 1e-3]],
  ["HEAD", { steps: 500, ...mezo, method: "HEAD" }, [3e-5, 1e-4, 3e-4, 1e-3, 3e-3]],
  ["FULL, FZOO", { steps: 300, ...fzoo }, [3e-4, 1e-3, 3e-3, 1e-2, 3e-2]],
  ["LORA on fc1 and fc2, FZOO", { steps: 500, ...lora, ...fzoo }, [1e-3, 1e-2, 3e-2, 1e-1]],
  ["PREFIX, FZOO of 8 estimates", { steps: 1200, ...prefix }, [3e-2, 1e-1, 3e-1, 1, 3]],
  [
    "PREFIX, FZOO of 8 estimates, CLASSIFICATION",
    { steps: 800, ...prefix, objective: "CLASSIFICATION" },
    [3e-2, 1e-1, 3e-1, 1, 3],
  ],
  ["LORA on fc1 and fc2", { steps: 1500, ...lora, ...mezo }, [1e-4, 3e-4, 1e-3, 3e-3, 1e-2]],
];

export interface AutoOptions {
  readonly device: string;
  readonly seeds: number;
  /** Only measures subjects whose name contains this; all by default. */
  readonly subject?: string;
  /** Steps of every run, instead of the subject's own; for a trial. */
  readonly steps?: number;
}

interface AutoRow {
  readonly subject: string;
  readonly steps: number;
  /** Mean accuracy over the seeds, from 0 to 1, by rate. */
  readonly accuracy: Readonly<Record<string, number>>;
  /** The rates that AUTO picked, one per seed. */
  readonly picked: readonly (number | null)[];
}

export async function benchAuto({ device: name, seeds, subject: wanted = "", steps }: AutoOptions): Promise<AutoRow[]> {
  const device = await openDevice({ device: name });
  const scratch = await mkdtemp(join(tmpdir(), "steplog-bench-"));
  try {
    const rows: AutoRow[] = [];
    for (const [subject, settings, grid] of subjects.filter(([each]) => each.includes(wanted))) {
      const chosen = hyperparametersSchema.parse({ ...settings, ...(steps && { steps }) });
      rows.push({ subject, steps: chosen.steps, ...(await compare(device, scratch, chosen, grid, seeds)) });
    }
    return rows;
  } finally {
    device.dispose();
    await rm(scratch, { recursive: true, force: true });
  }
}

async function compare(
  device: Device,
  scratch: string,
  settings: Hyperparameters,
  grid: readonly number[],
  seeds: number,
): Promise<Pick<AutoRow, "accuracy" | "picked">> {
  const accuracy: Record<string, number> = {};
  let picked: (number | null)[] = [];
  for (const learningRate of [...grid, "AUTO"] as Rate[]) {
    const runs: Outcome[] = [];
    for (let seed = 1; seed <= seeds; seed++)
      runs.push(await outcomeOf(device, scratch, { ...settings, learningRate, seed }));
    accuracy[String(learningRate)] = runs.reduce((sum, run) => sum + run.accuracy, 0) / seeds;
    if (learningRate === "AUTO") picked = runs.map((run) => run.picked);
  }
  return { accuracy, picked };
}

interface Outcome {
  readonly accuracy: number;
  readonly picked: number | null;
}

/** A run whose loss became infinite or NaN counts as accuracy 0. */
async function outcomeOf(device: Device, scratch: string, hyperparameters: Hyperparameters): Promise<Outcome> {
  const outcome = { accuracy: 0, picked: null as number | null };
  const request = await requestOf({ ...demoTask, hyperparameters }, scratch);
  try {
    for await (const message of runFineTune(request, device, () => false)) {
      if (message.type === "began") outcome.picked = message.pickedRate;
      if (message.type === "evaluation") outcome.accuracy = message.accuracy ?? 0;
    }
  } catch {
    outcome.accuracy = 0;
  }
  return outcome;
}

/** As Markdown. */
export function autoTable(rows: readonly AutoRow[]): string {
  const lines = rows.map(({ subject, steps, accuracy, picked }) => {
    const rated = Object.entries(accuracy).filter(([rate]) => rate !== "AUTO");
    const grid = rated.toSorted(([one], [other]) => Number(one) - Number(other));
    const best = Math.max(...grid.map(([, share]) => share));
    const cells = grid.map(([rate, share]) => `${Number(rate)}: ${percent(share)}`).join(", ");
    const auto = accuracy["AUTO"] ?? NaN;
    const rates = picked.map(String).join(", ");
    return `| ${[subject, steps, cells, percent(best), percent(auto), rates].join(" | ")} |`;
  });
  return ["| run | steps | grid | best | AUTO | rates picked |", "|---|---|---|---|---|---|", ...lines].join("\n");
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}
