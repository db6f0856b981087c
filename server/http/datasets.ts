/** POST /datasets: a dataset as the body of one request, for programs without GraphQL. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { encodeGlobalID } from "@pothos/plugin-relay";
import { z } from "zod";
import type { PresetName } from "../../dataset/presets.ts";
import { presetNames } from "../../dataset/presets.ts";
import { SteplogError } from "../../schema/errors.ts";
import { longestTtl } from "../../schema/expiry.ts";
import { limits } from "../../schema/limits.ts";
import type { ViewerServices } from "../context.ts";
import { whenGone } from "../context.ts";
import { invalidArgument } from "../errors.ts";
import { type DatasetLabel, storeStream } from "../store-dataset.ts";
import { unpacked } from "./body.ts";
import { sendJson } from "./json.ts";

/** curl --data-binary @rows.jsonl -X POST 'http://.../datasets?name=rows[&preset=SST2][&idempotencyKey=KEY][&ttl=SECONDS]' */
export async function receiveDataset(
  services: ViewerServices,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== "POST")
    throw new SteplogError(
      "NOT_FOUND",
      "POST a dataset to this path. To list datasets, use the GraphQL query `datasets`.",
    );
  // Before anything of the body is taken in.
  services.store.demand("write");
  if (Number(request.headers["content-length"] ?? 0) > limits.datasetBytes) {
    throw new SteplogError("PAYLOAD_TOO_LARGE", `A dataset may have at most ${limits.datasetBytes} bytes.`);
  }
  const label = labelIn(url);
  const preset = presetIn(url);
  refuseForm(request, response);
  const wanted = { ...label, preparation: preset && { preset }, signal: whenGone(response) };
  const dataset = await storeStream(services, wanted, unpacked(request, response));
  const { rows, bytes, sha256 } = dataset;
  sendJson(response, 201, { id: encodeGlobalID("Dataset", dataset.id), name: dataset.name, rows, bytes, sha256 });
}

const labelSchema = z.object({
  name: z.string().trim().min(1).max(limits.nameLength),
  idempotencyKey: z.string().min(1).max(limits.idempotencyKeyLength).nullable(),
  ttl: z.coerce.number().positive().max(longestTtl).optional(),
});

/** @throws INVALID_ARGUMENT naming the parameter */
function labelIn({ searchParams }: URL): DatasetLabel {
  const given = {
    name: searchParams.get("name") ?? "",
    idempotencyKey: searchParams.get("idempotencyKey"),
    ttl: searchParams.get("ttl") ?? undefined,
  };
  const label = labelSchema.safeParse(given);
  if (!label.success) throw invalidArgument(label.error.issues);
  const { ttl, ...named } = label.data;
  return { ...named, expiry: ttl === undefined ? null : { ttl } };
}

/** `curl -F` wraps the file into a form. @throws INVALID_ARGUMENT */
function refuseForm(request: IncomingMessage, response: ServerResponse): void {
  if (!/^multipart\//iu.test(request.headers["content-type"] ?? "")) return;
  response.statusCode = 415;
  throw new SteplogError("INVALID_ARGUMENT", "Send the file itself as the body, not a form: curl --data-binary @FILE.");
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
