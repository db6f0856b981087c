/** Names and short ids of what a service has, for completion: the newest ones, or none where it does not answer soon. */
import { setTimeout as delay } from "node:timers/promises";
import { SteplogClient } from "../../client/index.ts";
import { readVariable } from "../environment.ts";
import {
  listedDatasets,
  listedEvaluations,
  listedModels,
  listedRuns,
  listedSweeps,
  listedWebhooks,
} from "../operations.ts";
import { shortId } from "../short-ids.ts";
import type { Candidate, Names } from "./complete.ts";
import type { Named } from "./names.ts";

/** Whoever types waits for no longer. */
const patienceMs = 1_500;
const most = 100;

export const namesOfService: Names = async (kind, url) => {
  const client = new SteplogClient({
    url: url ?? readVariable("STEPLOG_URL"),
    token: readVariable("STEPLOG_API_TOKEN"),
    rateLimitPatienceMs: 0,
  });
  const late = delay(patienceMs, [] as const, { ref: false });
  return Promise.race([read[kind](client), late]).catch(() => []);
};

type Read = (client: SteplogClient) => Promise<readonly Candidate[]>;

const runs: Read = async (client) => {
  const { fineTunes } = await client.query(listedRuns, { first: most });
  return called(fineTunes.nodes.map(({ id, name, status }) => ({ id, name, meaning: status.toLowerCase() })));
};

const datasets: Read = async (client) => {
  const { datasets: found } = await client.query(listedDatasets, { first: most });
  return called(found.nodes.map(({ id, name, rows }) => ({ id, name, meaning: `dataset of ${rows} rows` })));
};

const sweeps: Read = async (client) => {
  const { sweeps: found } = await client.query(listedSweeps, { first: most });
  return called(found.nodes.map(({ id, name, varied }) => ({ id, name, meaning: `sweep of ${varied.join(", ")}` })));
};

/** They have no names. */
const evaluations: Read = async (client) => {
  const { modelEvaluations: found } = await client.query(listedEvaluations, { first: most });
  return found.nodes.map(({ id, baseModel, dataset, status }) => ({
    value: shortId(id),
    meaning: `${baseModel.name} on ${dataset.name}, ${status.toLowerCase()}`,
  }));
};

/** Shells break words at colons, and an address has one. */
const webhooks: Read = async (client) =>
  (await client.query(listedWebhooks, {})).webhooks.map(({ id, url }) => ({ value: shortId(id), meaning: url }));

const baseModels: Read = async (client) => {
  const { baseModels: found } = await client.query(listedModels, { first: most });
  return found.nodes.map(({ name, family }) => ({ value: name, meaning: `base model, ${family}` }));
};

const aliases: Read = async (client) =>
  (await client.aliases({ first: most })).map(({ name }) => ({ value: name, meaning: "alias" }));

const read: Readonly<Record<Named, Read>> = {
  run: runs,
  dataset: datasets,
  sweep: sweeps,
  baseModel: baseModels,
  alias: aliases,
  model: async (client) => {
    // A key that may ask models may still not read runs.
    const all = [aliases, baseModels, runs].map((one) => one(client).catch(() => []));
    return (await Promise.all(all)).flat();
  },
  // They have no names, and the API lists them by their run.
  checkpoint: async () => [],
  evaluation: evaluations,
  webhook: webhooks,
};

interface Called {
  readonly id: string;
  readonly name: string;
  readonly meaning: string;
}

/** By their names, as far as no two have the same, and by short ids. */
function called(all: readonly Called[]): Candidate[] {
  const isOnly = (name: string) => all.filter((one) => one.name === name).length === 1;
  return [
    ...all.filter(({ name }) => isOnly(name)).map(({ name, meaning }) => ({ value: name, meaning })),
    ...all.map(({ id, name, meaning }) => ({ value: shortId(id), meaning: `${name}, ${meaning}` })),
  ];
}
