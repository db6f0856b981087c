/** POST /datasets: a dataset as the body of one request, for programs without GraphQL. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { encodeGlobalID } from "@pothos/plugin-relay";
import { z } from "zod";
import type { PresetName } from "../../dataset/presets.ts";
import { presetNames } from "../../dataset/presets.ts";
import { SteplogError } from "../../schema/errors.ts";
import { limits } from "../../schema/limits.ts";
import type { Services } from "../context.ts";
import { invalidArgument } from "../errors.ts";
import { storeStream } from "../store-dataset.ts";
import { sendJson } from "./json.ts";

/** curl --data-binary @rows.jsonl -X POST 'http://.../datasets?name=rows[&preset=SST2]' */
export async function receiveDataset(
  services: Services,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== "POST")
    throw new SteplogError(
      "NOT_FOUND",
      "POST a dataset to this path. To list datasets, use the GraphQL query `datasets`.",
    );
  if (Number(request.headers["content-length"] ?? 0) > limits.datasetBytes) {
    throw new SteplogError("PAYLOAD_TOO_LARGE", `A dataset may have at most ${limits.datasetBytes} bytes.`);
  }
  const name = z
    .string()
    .trim()
    .min(1)
    .max(limits.nameLength)
    .safeParse(url.searchParams.get("name") ?? "");
  if (!name.success) throw invalidArgument(name.error.issues, ["name"]);
  const preset = presetIn(url);
  // Refusing a body half-way must not close the connection: the answer is still to be sent on it.
  const dataset = await storeStream(
    services,
    name.data,
    request.iterator({ destroyOnReturn: false }),
    preset && { preset },
  );
  const { rows, bytes, sha256 } = dataset;
  sendJson(response, 201, { id: encodeGlobalID("Dataset", dataset.id), name: dataset.name, rows, bytes, sha256 });
}

/** @throws INVALID_ARGUMENT listing the known presets */
function presetIn(url: URL): PresetName | null {
  const given = url.searchParams.get("preset");
  if (given === null) return null;
  const known = presetNames.find((name) => name === given);
  if (known) return known;
  throw invalidArgument(
    [{ path: [], message: `must be one of ${presetNames.join(", ")}; it is ${given}` }],
    ["preset"],
  );
}
