/** MLflow by its REST API: one of its runs for a fine-tune, found again by a tag. */
import { SteplogError } from "../../schema/errors.ts";
import { fileReason } from "../../schema/file-errors.ts";
import { type OpenTracker, type Point, type Tracker, note } from "./tracker.ts";

/** Metrics of one request: MLflow takes 1,000. */
const most = 1_000;
const timeoutMs = 30_000;

interface MlflowRun {
  readonly info: { readonly run_id: string };
  readonly data?: { readonly metrics?: readonly { readonly key: string; readonly step?: number | string }[] };
}

/**
 * @param env with the variables of MLflow's own clients: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN
 */
export function mlflowServer(
  url: string,
  run: { readonly id: string; readonly name: string },
  env: NodeJS.ProcessEnv = process.env,
): OpenTracker {
  const server = new MlflowServer(url, credentialsOf(env));
  return { name: "--mlflow", open: () => openRun(server, run) };
}

async function openRun(server: MlflowServer, run: { readonly id: string; readonly name: string }): Promise<Tracker> {
  const experiment = await experimentOf(server);
  const filter = `tags.\`steplog.fine_tune\` = '${run.id}'`;
  const search = { experiment_ids: [experiment], filter, max_results: 1 };
  const [known] = (await server.post<{ runs?: MlflowRun[] }>("runs/search", search)).runs ?? [];
  const tags = [{ key: "steplog.fine_tune", value: run.id }];
  const fresh = { experiment_id: experiment, run_name: run.name, start_time: Date.now(), tags };
  const { info, data } = known ?? (await server.post<{ run: MlflowRun }>("runs/create", fresh)).run;
  const last = new Map<string, number>();
  for (const { key, step } of data?.metrics ?? []) note(last, { step: Number(step ?? 0), values: { [key]: 0 } });
  return {
    last,
    async write(points) {
      const metrics = points.flatMap(metricsOf);
      for (let from = 0; from < metrics.length; from += most)
        await server.post("runs/log-batch", { run_id: info.run_id, metrics: metrics.slice(from, from + most) });
    },
    async close(status) {
      if (status === null) return;
      const ended = { SUCCEEDED: "FINISHED", CANCELLED: "KILLED" }[status] ?? "FAILED";
      await server.post("runs/update", { run_id: info.run_id, status: ended, end_time: Date.now() });
    },
  };
}

async function experimentOf(server: MlflowServer): Promise<string> {
  const path = "experiments/get-by-name?experiment_name=steplog";
  const found = await server.get<{ experiment: { experiment_id: string } }>(path);
  if (found) return found.experiment.experiment_id;
  return (await server.post<{ experiment_id: string }>("experiments/create", { name: "steplog" })).experiment_id;
}

class MlflowServer {
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(url: string, headers: Readonly<Record<string, string>>) {
    this.#url = url.replace(/\/+$/u, "");
    this.#headers = headers;
  }

  /** Null for what is not there. */
  async get<Answer>(path: string): Promise<Answer | null> {
    const { status, text } = await this.#answer(path, { headers: this.#headers });
    return status === 404 ? null : (this.#read(status, text) as Answer);
  }

  async post<Answer>(path: string, body: object): Promise<Answer> {
    const headers = { "content-type": "application/json", ...this.#headers };
    const { status, text } = await this.#answer(path, { method: "POST", headers, body: JSON.stringify(body) });
    return this.#read(status, text) as Answer;
  }

  async #answer(path: string, init: RequestInit): Promise<{ status: number; text: string }> {
    try {
      const signal = AbortSignal.timeout(timeoutMs);
      const response = await fetch(`${this.#url}/api/2.0/mlflow/${path}`, { ...init, signal });
      return { status: response.status, text: await response.text() };
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      // A TypeError: an address that is none.
      const code = cause instanceof TypeError ? "INVALID_ARGUMENT" : "UNAVAILABLE";
      throw new SteplogError(code, `MLflow does not answer: ${fileReason(cause)}`, [], { cause: error });
    }
  }

  /** What a proxy says in the place of MLflow may pass, what MLflow refuses does not. */
  #read(status: number, text: string): unknown {
    const said = `MLflow answered ${status}: ${text.slice(0, 300)}`;
    if (status >= 500 || status === 408 || status === 429) throw new SteplogError("UNAVAILABLE", said);
    if (status < 200 || status > 299) throw new SteplogError("INVALID_ARGUMENT", said);
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new SteplogError("UNAVAILABLE", said, [], { cause: error });
    }
  }
}

/** As MLflow's own clients do, a name goes before a token. */
function credentialsOf(env: NodeJS.ProcessEnv): Record<string, string> {
  const { MLFLOW_TRACKING_USERNAME: name, MLFLOW_TRACKING_PASSWORD: password, MLFLOW_TRACKING_TOKEN: token } = env;
  if (name && password) return { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}` };
  return token ? { authorization: `Bearer ${token}` } : {};
}

function metricsOf({ step, values }: Point) {
  return Object.entries(values).map(([key, value]) => ({ key, value, step, timestamp: Date.now() }));
}
