/** MLflow by its REST API: one of its runs for a fine-tune, found again by a tag. */
import { SteplogError } from "../../schema/errors.ts";
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
  const credentials = credentialsOf(env);
  const ask = async <Answer>(path: string, body: object): Promise<Answer> => {
    const response = await fetch(`${url.replace(/\/+$/u, "")}/api/2.0/mlflow/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...credentials },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await response.text();
    if (!response.ok)
      throw new SteplogError("UNAVAILABLE", `MLflow answered ${response.status}: ${text.slice(0, 300)}`);
    return JSON.parse(text) as Answer;
  };
  return async (): Promise<Tracker> => {
    const experiment = await experimentOf(url, credentials);
    const found =
      experiment ?? (await ask<{ experiment_id: string }>("experiments/create", { name: "steplog" })).experiment_id;
    const filter = `tags.\`steplog.fine_tune\` = '${run.id}'`;
    const search = { experiment_ids: [found], filter, max_results: 1 };
    const [known] = (await ask<{ runs?: MlflowRun[] }>("runs/search", search)).runs ?? [];
    const tags = [{ key: "steplog.fine_tune", value: run.id }];
    const fresh = { experiment_id: found, run_name: run.name, start_time: Date.now(), tags };
    const { info, data } = known ?? (await ask<{ run: MlflowRun }>("runs/create", fresh)).run;
    const last = new Map<string, number>();
    for (const { key, step } of data?.metrics ?? []) note(last, { step: Number(step ?? 0), values: { [key]: 0 } });
    return {
      name: "--mlflow",
      last,
      async write(points) {
        const metrics = points.flatMap(metricsOf);
        for (let from = 0; from < metrics.length; from += most)
          await ask("runs/log-batch", { run_id: info.run_id, metrics: metrics.slice(from, from + most) });
      },
      async close(status) {
        if (status === null) return;
        const ended = { SUCCEEDED: "FINISHED", CANCELLED: "KILLED" }[status] ?? "FAILED";
        await ask("runs/update", { run_id: info.run_id, status: ended, end_time: Date.now() });
      },
    };
  };
}

/** As MLflow's own clients do, a name goes before a token. */
function credentialsOf(env: NodeJS.ProcessEnv): Record<string, string> {
  const { MLFLOW_TRACKING_USERNAME: name, MLFLOW_TRACKING_PASSWORD: password, MLFLOW_TRACKING_TOKEN: token } = env;
  if (name && password) return { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}` };
  return token ? { authorization: `Bearer ${token}` } : {};
}

/** Null when there is none of that name. */
async function experimentOf(url: string, headers: Record<string, string>): Promise<string | null> {
  const path = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=steplog";
  const response = await fetch(`${url.replace(/\/+$/u, "")}${path}`, {
    headers,
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (response.status === 404) return null;
  if (!response.ok) throw new SteplogError("UNAVAILABLE", `MLflow answered ${response.status}.`);
  return ((await response.json()) as { experiment: { experiment_id: string } }).experiment.experiment_id;
}

function metricsOf({ step, values }: Point) {
  return Object.entries(values).map(([key, value]) => ({ key, value, step, timestamp: Date.now() }));
}
