/**
 * Every environment variable that Steplog reads: its meaning, default and check. A variable that is set to nothing counts
 * as not set. deploy/README.md shows this list as a table; tests/cli/environment.test.ts compares them.
 */
import { z } from "zod";
import { SteplogError } from "../schema/errors.ts";
import { longestTtl, usualKeepExportsS } from "../schema/expiry.ts";
import { usualCompletions } from "../schema/limits.ts";
import { usualRates } from "../schema/rates.ts";
import { secondsOfDay } from "../schema/units.ts";

interface Variable {
  readonly meaning: string;
  /** For the table, where the default is not a value of the type. */
  readonly default?: string;
  /** The message of a failed check says what to give instead. */
  readonly type: z.ZodType<string | number | undefined>;
  /** Never printed. */
  readonly secret?: true;
}

const text = z.string();
const optional = text.optional();

export const variables = {
  DATABASE_URL: {
    meaning: "`postgres://user:password@host:5432/database`; without it, `steplog start` runs an embedded Postgres",
    type: optional,
    secret: true,
  },
  DATABASE_DIRECT_URL: {
    meaning: "Postgres itself, when `DATABASE_URL` is PgBouncer's in transaction mode and ends in `?pgbouncer=true`",
    type: optional,
    secret: true,
  },
  STEPLOG_DATA: { meaning: "folder for everything the service keeps on this machine", type: text.default("data") },
  STEPLOG_MODELS: {
    meaning: "base models, one folder each",
    default: "$STEPLOG_DATA/models",
    type: optional,
  },
  STEPLOG_STORAGE: {
    meaning:
      "datasets, uploads and weights: a folder that the gateway and all workers see, or `s3://BUCKET/PREFIX` for an S3",
    default: "$STEPLOG_DATA/storage",
    type: optional,
  },
  STEPLOG_S3_ENDPOINT: {
    meaning: "address of an S3 that is not Amazon's, `http://HOST:PORT`",
    type: address(),
  },
  STEPLOG_S3_PUBLIC_ENDPOINT: {
    meaning: "address by which clients reach the same S3, for downloads",
    default: "$STEPLOG_S3_ENDPOINT",
    type: address(),
  },
  STEPLOG_S3_REGION: { meaning: "region of the bucket", default: "$AWS_REGION", type: optional },
  AWS_REGION: {
    meaning:
      "the same; credentials come from AWS's own variables and files (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, " +
      "`AWS_PROFILE`)",
    type: optional,
  },
  STEPLOG_S3_PATH_STYLE: {
    meaning: "`yes` puts the bucket into the path instead of the host's name",
    default: "`yes` with an endpoint",
    type: z.enum(["yes", "no"], { error: "Give yes or no." }).optional(),
  },
  STEPLOG_DOWNLOADS: {
    meaning: "with an S3, `links` sends clients to it, by links of an hour; `gateway` has the gateway send everything",
    type: z.enum(["links", "gateway"], { error: "Give links or gateway." }).default("links"),
  },
  STEPLOG_CACHE: {
    meaning: "copies of stored files and models on this machine",
    default: "$STEPLOG_DATA/cache",
    type: optional,
  },
  STEPLOG_CACHE_DISK: {
    meaning: "megabytes of such copies, at most",
    type: wholeNumber(1, 2 ** 30).default(50_000),
  },
  STEPLOG_TIME_SLICE: {
    meaning:
      "seconds after which a run gives its worker to a job that waits and has its turn, and goes on later; 0 for never",
    type: wholeNumber(0, 31_536_000).default(300),
  },
  STEPLOG_TIME_SLICE_DISK: {
    meaning: "megabytes of the weights of such runs that are kept in `$STEPLOG_CACHE/kept`; with 0, logs are replayed",
    type: wholeNumber(0, 2 ** 30).default(20_000),
  },
  STEPLOG_SHARE_MODELS: {
    meaning: "whether workers store their base models, for machines that lack them; `auto`: with an S3 only",
    type: z.enum(["auto", "yes", "no"], { error: "Give auto, yes or no." }).default("auto"),
  },
  STEPLOG_DEVICES: {
    meaning: "devices that `steplog device install` makes, one folder each",
    default: "$STEPLOG_DATA/devices",
    type: optional,
  },
  STEPLOG_HOST: {
    meaning: "address that the gateway listens on; the image sets `0.0.0.0`",
    type: text.trim().min(1, "Give an address such as 127.0.0.1.").default("127.0.0.1"),
  },
  PORT: { meaning: "port of the gateway; 0 chooses a free one", type: wholeNumber(0, 65_535).default(4_000) },
  STEPLOG_DEVICE: {
    meaning: "the worker's compute device; a missing one is an error, never a fallback",
    type: text.default("auto"),
  },
  STEPLOG_THREADS: {
    meaning: "threads of the native device; 0 means one per core",
    type: wholeNumber(0, 1_024).default(0),
  },
  STEPLOG_SERVE: {
    meaning: "what the worker does: `training` (runs and other jobs), `inference` (requests to models), or `both`",
    type: z.enum(["training", "inference", "both"], { error: "Give training, inference or both." }).default("both"),
  },
  STEPLOG_SERVE_THREADS: {
    meaning: "threads that answer requests while the others train; with 0, requests are answered between passes",
    type: wholeNumber(0, 1_023).default(0),
  },
  STEPLOG_SERVE_SHARE: {
    meaning: "percent of the time for requests, while they wait and a run trains, if they have no threads of their own",
    type: wholeNumber(1, 99).default(50),
  },
  STEPLOG_SERVE_MEMORY: {
    meaning: "megabytes for the models and texts of requests; 0 means a quarter of the machine's",
    type: wholeNumber(0, 2 ** 30).default(0),
  },
  STEPLOG_SERVE_DISK: {
    meaning: "megabytes of rebuilt checkpoints that are kept in `$STEPLOG_DATA/serving` for requests",
    type: wholeNumber(0, 2 ** 30).default(20_000),
  },
  STEPLOG_SERVE_SEQUENCES: {
    meaning: "texts that are written at once, at most",
    type: wholeNumber(1, 256).default(16),
  },
  STEPLOG_SERVE_PRECISION: {
    meaning:
      "products of requests: `float32`, `bfloat16`, or `auto`: `bfloat16` for models stored so, if the device has it",
    type: z.enum(["auto", "float32", "bfloat16"], { error: "Give auto, float32 or bfloat16." }).default("auto"),
  },
  STEPLOG_WORKER_IDLE: {
    meaning: "seconds without work after which the worker of `steplog start` ends until there is some; 0 for never",
    type: wholeNumber(0, 31_536_000).default(300),
  },
  STEPLOG_WORKER_POOL: {
    meaning:
      "name of the workers that one autoscaler starts, which are all alike: `steplog queue --pool` counts the work that they can do",
    type: optional,
  },
  STEPLOG_API_TOKEN: {
    meaning:
      "the operator's token: if set, every request needs `Authorization: Bearer` with it or with an API key. For commands that use a service, its key",
    // Secrets that a program wrote into a file often end in a line feed.
    type: text
      .trim()
      .regex(/^[\x21-\x7e]+$/u, "Give letters, digits and punctuation without spaces.")
      .optional(),
    secret: true,
  },
  STEPLOG_OPEN_TO_EVERYONE: {
    meaning: "`yes` lets a gateway without a token listen beyond this machine, where whoever reaches it can use it",
    type: z.enum(["yes", "no"], { error: "Give yes or no." }).default("no"),
  },
  STEPLOG_ALLOWED_HOSTS: {
    meaning: "names besides `localhost` that clients of a gateway without a token may call it by, separated by commas",
    type: optional,
  },
  STEPLOG_PUBLIC_URL: { meaning: "address that clients use, if the gateway is behind a proxy", type: optional },
  STEPLOG_CORS_ORIGINS: {
    meaning: "origins of other sites that may use the API from a browser, separated by commas",
    type: optional,
  },
  STEPLOG_AUDIT_DAYS: {
    meaning: "days that entries of the audit log are kept; 0 keeps them for ever",
    type: wholeNumber(0, 36_500).default(0),
  },
  STEPLOG_WEBHOOK_ALLOW_PRIVATE: {
    meaning:
      "which webhooks may go to private addresses: `no`, `yes`, or the hosts that may, as their URLs have them, separated by commas",
    type: text.default("no"),
  },
  STEPLOG_CONCURRENT_RUNS: {
    meaning:
      "runs that workers train at once, in all projects together; the others wait. 0 for one on each worker. Set it alike everywhere: the logs warn where it differs",
    type: wholeNumber(0, 1_000_000).default(0),
  },
  STEPLOG_QUEUE_LIMIT: {
    meaning: "requests to a model that may wait for a worker; the gateway refuses more as `BUSY`",
    type: wholeNumber(0, 1_000_000).default(usualCompletions.queueLimit),
  },
  STEPLOG_QUEUE_WAIT: {
    meaning: "seconds that such a request may wait for a worker to begin, before it fails",
    type: wholeNumber(1, secondsOfDay).default(usualCompletions.waitS),
  },
  STEPLOG_KEEP_COMPLETIONS: {
    meaning: "seconds until prompts and answers are deleted, counted from the request",
    type: wholeNumber(1, 31_536_000).default(usualCompletions.keepS),
  },
  STEPLOG_KEEP_EXPORTS: {
    meaning:
      "seconds that rebuilt weights and exports stay after they were last asked for or downloaded; 0: as long as their checkpoint",
    type: wholeNumber(0, longestTtl).default(usualKeepExportsS),
  },
  STEPLOG_PERSISTED_DOCUMENTS: {
    meaning: "JSON file of GraphQL documents that clients may name by `documentId`; `steplog documents` writes it",
    type: optional,
  },
  STEPLOG_PERSISTED_ONLY: {
    meaning: "`yes`: whoever is no operator runs these documents only, and those of the page",
    type: z.enum(["yes", "no"], { error: "Give yes or no." }).default("no"),
  },
  STEPLOG_RATE_LIMITS: {
    meaning:
      "`on` limits how many requests come in a minute, by API key, or by address where there are none; `auto`: unless the " +
      "gateway has neither keys nor a token and listens on this machine alone",
    type: z.enum(["auto", "on", "off"], { error: "Give auto, on or off." }).default("auto"),
  },
  STEPLOG_RATE_GRAPHQL: {
    meaning: "points of GraphQL operations in a minute, one for each started 1,000 of complexity; 0 for no limit",
    type: wholeNumber(0, 1_000_000_000).default(usualRates.graphql),
  },
  STEPLOG_RATE_OPENAI: {
    meaning: "requests to `/v1` in a minute; 0 for no limit",
    type: wholeNumber(0, 1_000_000_000).default(usualRates.openai),
  },
  STEPLOG_RATE_FILES: {
    meaning: "requests that upload or download files in a minute; 0 for no limit",
    type: wholeNumber(0, 1_000_000_000).default(usualRates.files),
  },
  STEPLOG_PROXIES: {
    meaning: "proxies in front of the gateway that add the client's address to `X-Forwarded-For`",
    type: wholeNumber(0, 10).default(0),
  },
  STEPLOG_METRICS_TOKEN: {
    meaning: "token for `/metrics` alone, of the gateway and of workers; operators' keys read the gateway's too",
    type: text
      .trim()
      .regex(/^[\x21-\x7e]+$/u, "Give letters, digits and punctuation without spaces.")
      .optional(),
    secret: true,
  },
  STEPLOG_METRICS_PORT: {
    meaning:
      "port of the worker's `/metrics`, on `STEPLOG_HOST`; without it there is none. Beyond this machine it needs the token",
    type: wholeNumber(0, 65_535).optional(),
  },
  STEPLOG_TRACES: {
    meaning:
      "`auto` sends traces if there is an address for them, `yes` also to a collector on this machine, `no` never",
    type: z.enum(["auto", "yes", "no"], { error: "Give auto, yes or no." }).default("auto"),
  },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    meaning:
      "address of a collector of OpenTelemetry, `http://HOST:4318`: traces go there, as JSON over HTTP. OpenTelemetry's " +
      "other variables count too (`OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME`)",
    type: address(),
  },
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: { meaning: "the same, with its path, for traces alone", type: address() },
  STEPLOG_LOG_LEVEL: {
    meaning: "`debug`, `info`, `warn` or `error`; logs are JSON lines on stderr",
    type: z.enum(["debug", "info", "warn", "error"], { error: "Give debug, info, warn or error." }).default("info"),
  },
  STEPLOG_URL: {
    meaning: "the service that commands use, unless `--url` names another",
    type: text.default("http://127.0.0.1:4000"),
  },
  TENSORFLOW_LIB: {
    meaning:
      "folder of a libtensorflow with headers that `steplog device install` builds against, before it looks elsewhere",
    type: optional,
  },
  HF_ENDPOINT: {
    meaning: "the hub that `steplog model add` downloads from, or a mirror",
    type: text.refine(isAddress, "Give an address, https://...").default("https://huggingface.co"),
  },
  HF_TOKEN: {
    meaning: "token for private and gated models; sent to that hub only",
    default: "the token of a login",
    type: optional,
    secret: true,
  },
  HUGGING_FACE_HUB_TOKEN: {
    meaning: "the old name of `HF_TOKEN`, read if that is not set",
    type: optional,
    secret: true,
  },
  HF_TOKEN_PATH: {
    meaning: "file with the token of `hf auth login`, read if neither is set; `/dev/null` for none",
    default: "$HF_HOME/token",
    type: optional,
  },
  HF_HOME: { meaning: "folder of that login", default: "$XDG_CACHE_HOME/huggingface", type: optional },
  XDG_CACHE_HOME: { meaning: "parent of that folder", type: text.default("~/.cache") },
  HTTPS_PROXY: {
    meaning: "`http://[USER:PASSWORD@]HOST:PORT`, the proxy to https:// hubs for `steplog model add`",
    default: "HTTP_PROXY",
    type: proxy(),
    secret: true,
  },
  HTTP_PROXY: { meaning: "the same for http://; lower-case names win", type: proxy(), secret: true },
  NO_PROXY: {
    meaning: "hosts (with their subdomains) to reach without a proxy, separated by commas; `*` for all",
    type: optional,
  },
} as const satisfies Readonly<Record<string, Variable>>;

export type VariableName = keyof typeof variables;

/** @throws SteplogError INVALID_ARGUMENT naming the variable, its value unless that is secret, and what to give */
export function readVariable<Name extends VariableName>(
  name: Name,
  env: NodeJS.ProcessEnv = process.env,
): z.output<(typeof variables)[Name]["type"]> {
  const { type, secret }: Variable = variables[name];
  const value = namesOf(name)
    .map((known) => env[known])
    .find((found) => found !== undefined && found !== "");
  const parsed = type.safeParse(value);
  if (parsed.success) return parsed.data as z.output<(typeof variables)[Name]["type"]>;
  const seen = secret ? "not valid" : JSON.stringify(value);
  throw new SteplogError("INVALID_ARGUMENT", `${name} is ${seen}. ${parsed.error.issues[0]?.message ?? ""}`);
}

/** The names of a variable; programs agree that proxies are in lower case first. */
function namesOf(name: VariableName): string[] {
  return name.endsWith("_PROXY") ? [name.toLowerCase(), name] : [name];
}

/** The rows of the table in deploy/README.md: names, default, meaning. */
export function variableRows(): string[][] {
  return (Object.keys(variables) as VariableName[]).map((name) => {
    const { type, meaning, default: shown = String(type.parse(undefined) ?? "none") }: Variable = variables[name];
    const names = namesOf(name).toReversed();
    const inWords = shown === "none" || shown.includes(" ");
    return [names.map((known) => `\`${known}\``).join(", "), inWords ? shown : `\`${shown}\``, meaning];
  });
}

function wholeNumber(min: number, max: number) {
  const valid = (given: string) => /^\d+$/u.test(given.trim()) && Number(given) >= min && Number(given) <= max;
  return text.refine(valid, `Give a whole number from ${min} to ${max}.`).transform(Number);
}

function address() {
  return text.refine(isAddress, "Give an address, http://HOST:PORT or https://HOST.").optional();
}

function isAddress(url: string): boolean {
  return /^https?:\/\//u.test(url) && URL.canParse(url);
}

function proxy() {
  return text
    .transform((address) => (address.includes("://") ? address : `http://${address}`))
    .refine(isProxy, "Give the address of an HTTP proxy, http://HOST:PORT.")
    .optional();
}

function isProxy(address: string): boolean {
  try {
    const { protocol, username, password } = new URL(address);
    decodeURIComponent(username + password);
    return protocol === "http:" || protocol === "https:";
  } catch {
    return false;
  }
}
