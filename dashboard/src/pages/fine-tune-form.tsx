import { useEffect, useRef, useState } from "preact/hooks";
import type { CreateFineTuneInput, StoredDataset } from "../../../client/browser.ts";
import { client } from "../api/client.ts";
import { createFineTune, type ChoicesQuery } from "../api/operations.ts";
import { formatCompact, formatInteger } from "../format.ts";
import { asFailure, Problem, type Failure } from "../parts/problem.tsx";
import { RateInput, rateIn } from "../parts/rate.tsx";
import { navigate, runPath } from "../route.ts";

/** Labels of the number settings; what is left empty takes the default that the field shows. */
const settings = [
  ["steps", "Steps"],
  ["batchSize", "Batch size (rows)"],
  ["accumulate", "Batches a step"],
  ["estimates", "Estimates a step"],
  ["estimatesAtEnd", "Estimates of the last step (0: the same)"],
  ["warmupSteps", "Warm-up (steps)"],
  ["clipGradient", "Clip gradient at (0: never)"],
  ["epsilon", "Epsilon"],
  ["weightDecay", "Weight decay"],
  ["seed", "Seed"],
  ["answerTokens", "Tokens of a written answer (0: none is written)"],
  ["evaluateEvery", "Evaluate every (steps, 0: before and after)"],
  ["patience", "Patience (evaluations without a better one, 0: no end)"],
  ["inContextRows", "Rows in the context of a baseline (0: no baseline)"],
  ["checkpointEvery", "Checkpoint every (steps, 0: at the end)"],
] as const;

/** Those of one method alone. */
const methodSettings = {
  FULL: [],
  HEAD: [],
  LORA: [
    ["loraRank", "Rank"],
    ["loraAlpha", "Alpha"],
  ],
  PREFIX: [["prefixLength", "Length (tokens)"]],
} as const;

const objectives = {
  LOSS: "Loss of the completion",
  CLASSIFICATION: "Loss of the choice between label words",
  ACCURACY: "Accuracy",
  F1: "F1 of written answers",
  EXACT_MATCH: "Exact match of written answers",
} as const;

const objectiveKinds = ["LOSS", "CLASSIFICATION", "ACCURACY", "F1", "EXACT_MATCH"] as const;

const estimatorKinds = ["SPSA", "ONE_SIDED", "FZOO"] as const;

const bestMetrics = {
  AUTO: "F1, accuracy or loss, whichever there is first",
  LOSS: "Loss",
  ACCURACY: "Accuracy",
  F1: "F1 of written answers",
  EXACT_MATCH: "Exact match of written answers",
} as const;

const bestMetricKinds = ["AUTO", "LOSS", "ACCURACY", "F1", "EXACT_MATCH"] as const;

const schedules = ["CONSTANT", "LINEAR", "COSINE"] as const;

const methods = ["FULL", "HEAD", "LORA", "PREFIX"] as const;
type Method = (typeof methods)[number];

function methodNamed(name: string): Method {
  return methods.find((known) => known === name) ?? "FULL";
}

interface FormProps {
  readonly choices: ChoicesQuery;
  /** The dataset that the form above stored last; null if none. */
  readonly stored: StoredDataset | null;
}

export function FineTuneForm({ choices, stored }: FormProps) {
  const { baseModels, datasets } = choices;
  const [failure, setFailure] = useState<Failure | null>(null);
  const [busy, setBusy] = useState(false);
  const [dataset, setDataset] = useState("");
  const [validation, setValidation] = useState("");
  const [test, setTest] = useState("");
  const [method, setMethod] = useState<Method>("FULL");
  const key = useIdempotencyKey();

  // The first dataset stored on this page is selected for training, the second for validation.
  useEffect(() => {
    if (!stored) return;
    if (dataset === "") setDataset(stored.id);
    else if (validation === "") setValidation(stored.id);
  }, [stored]);

  const create = async (event: SubmitEvent) => {
    event.preventDefault();
    if (!(event.currentTarget instanceof HTMLFormElement)) return;
    const input = readForm(new FormData(event.currentTarget));
    setBusy(true);
    try {
      const answer = await client.query(createFineTune, { input: { ...input, idempotencyKey: key(input) } });
      navigate(runPath(answer.createFineTune.fineTune.id));
    } catch (error) {
      setFailure(asFailure(error));
      setBusy(false);
    }
  };
  return (
    <section class="card">
      <h2>2. Fine-tune</h2>
      {baseModels.nodes.length === 0 && (
        <p class="problem" role="alert">
          There are no base models yet. A worker registers those in its models folder when it starts.
        </p>
      )}
      <form onSubmit={(event) => void create(event)}>
        <div class="grid">
          <label>
            Name
            <input name="name" required maxLength={200} />
          </label>
          <label>
            Base model
            <select name="baseModel" required>
              {baseModels.nodes.map((model) => (
                <option key={model.name} value={model.name}>
                  {model.name} ({model.family}, {formatCompact(model.parameters)} weights, {model.dtype})
                </option>
              ))}
            </select>
          </label>
          <DatasetSelect
            name="dataset"
            label="Training dataset"
            none="Choose a dataset"
            required
            {...{ datasets }}
            value={dataset}
            onValue={setDataset}
          />
          <DatasetSelect
            name="validationDataset"
            label="Validation dataset (optional)"
            none="None"
            {...{ datasets }}
            value={validation}
            onValue={setValidation}
          />
          <DatasetSelect
            name="testDataset"
            label="Test dataset (optional)"
            none="None"
            {...{ datasets }}
            value={test}
            onValue={setTest}
          />
        </div>
        <label>
          Label words for accuracy, one per line, with leading spaces (optional)
          <textarea name="labelWords" rows={2} spellcheck={false} placeholder={" great\n terrible"} />
        </label>
        <label class="check">
          <input name="keepWeights" type="checkbox" />
          Store the weights at the end (otherwise they are rebuilt from the log on request)
        </label>
        <label class="check">
          <input name="linearProbe" type="checkbox" />
          Measure a linear probe before training, as a baseline
        </label>
        <details>
          <summary>Hyperparameters</summary>
          <div class="grid">
            <label>
              Method
              <select
                name="method"
                value={method}
                onChange={({ currentTarget }) => setMethod(methodNamed(currentTarget.value))}
              >
                <option value="FULL">Weights</option>
                <option value="HEAD">Output head</option>
                <option value="LORA">LoRA adapter</option>
                <option value="PREFIX">Prefix</option>
              </select>
            </label>
            <RateInput placeholder={String(hyperparameterDefaults[method].learningRate)} />
            {[...settings, ...methodSettings[method]].map(([name, label]) => (
              <label key={name}>
                {label}
                <input
                  name={name}
                  type="number"
                  step="any"
                  placeholder={String(hyperparameterDefaults[method][name])}
                />
              </label>
            ))}
            {method === "LORA" && (
              <label>
                Layers, by the ends of their names
                <input name="loraTargets" placeholder="queries and values" spellcheck={false} />
              </label>
            )}
            {method === "FULL" && (
              <label>
                Tensors, by the ends of their names
                <input name="tensors" placeholder="all" spellcheck={false} />
              </label>
            )}
            <label>
              Objective
              <select name="objective" defaultValue={hyperparameterDefaults.FULL.objective}>
                {Object.entries(objectives).map(([value, label]) => (
                  <option key={value} value={value}>
                    {label}
                  </option>
                ))}
              </select>
            </label>
            <label>
              Best evaluation by
              <select name="bestMetric" defaultValue={hyperparameterDefaults.FULL.bestMetric}>
                {Object.entries(bestMetrics).map(([value, label]) => (
                  <option key={value} value={value}>
                    {label}
                  </option>
                ))}
              </select>
            </label>
            <label>
              Schedule of the rate
              <select name="schedule" defaultValue={hyperparameterDefaults.FULL.schedule}>
                {schedules.map((schedule) => (
                  <option key={schedule} value={schedule}>
                    {schedule[0]}
                    {schedule.slice(1).toLowerCase()}
                  </option>
                ))}
              </select>
            </label>
            <label>
              Estimates
              <select name="estimator" defaultValue={hyperparameterDefaults.FULL.estimator}>
                <option value="SPSA">Two-sided</option>
                <option value="ONE_SIDED">One-sided</option>
                <option value="FZOO">FZOO (2 or more a step)</option>
              </select>
            </label>
            <label>
              Noise
              <select name="noise" defaultValue={hyperparameterDefaults.FULL.noise}>
                <option value="RADEMACHER">Rademacher (+1 or -1)</option>
                <option value="NORMAL">Normal (centred binomial)</option>
              </select>
            </label>
            <label>
              Precision of products
              <select name="precision" defaultValue={hyperparameterDefaults.FULL.precision}>
                <option value="FLOAT32">float32</option>
                <option value="BFLOAT16">bfloat16 (faster where the processor has it)</option>
              </select>
            </label>
          </div>
        </details>
        <div class="actions">
          <button type="submit" class="primary" disabled={busy}>
            {busy ? "Creating…" : "Create fine-tune"}
          </button>
        </div>
      </form>
      {failure && <Problem title="The fine-tune was not created" failure={failure} />}
    </section>
  );
}

interface SelectProps {
  readonly name: string;
  readonly label: string;
  readonly none: string;
  readonly required?: boolean;
  readonly datasets: ChoicesQuery["datasets"];
  readonly value: string;
  readonly onValue: (id: string) => void;
}

function DatasetSelect({ name, label, none, required = false, datasets, value, onValue }: SelectProps) {
  return (
    <label>
      {label}
      <select
        name={name}
        required={required}
        value={value}
        onChange={({ currentTarget }) => onValue(currentTarget.value)}
      >
        <option value="">{none}</option>
        {datasets.nodes.map(({ id, name: title, rows }) => (
          <option key={id} value={id} selected={id === value}>
            {title} ({formatInteger(rows)} rows)
          </option>
        ))}
      </select>
    </label>
  );
}

function readForm(form: FormData): CreateFineTuneInput {
  const text = (name: string) => {
    const value = form.get(name);
    return typeof value === "string" ? value : "";
  };
  const method = methodNamed(text("method"));
  const numbers = [...settings, ...methodSettings[method]]
    .filter(([name]) => text(name) !== "")
    .map(([name]) => [name, Number(text(name))] as const);
  const names = (field: string) =>
    text(field)
      .split(/[\s,]+/u)
      .filter((name) => name !== "");
  const lists = { tensors: names("tensors"), loraTargets: names("loraTargets") };
  const schedule = schedules.find((known) => known === text("schedule")) ?? "CONSTANT";
  const objective = objectiveKinds.find((known) => known === text("objective")) ?? "LOSS";
  const estimator = estimatorKinds.find((known) => known === text("estimator")) ?? "SPSA";
  const bestMetric = bestMetricKinds.find((known) => known === text("bestMetric")) ?? "AUTO";
  const noise = text("noise") === "NORMAL" ? "NORMAL" : "RADEMACHER";
  const precision = text("precision") === "BFLOAT16" ? "BFLOAT16" : "FLOAT32";
  return {
    name: text("name"),
    baseModel: text("baseModel"),
    dataset: text("dataset"),
    validationDataset: text("validationDataset") || null,
    testDataset: text("testDataset") || null,
    // Browsers send line breaks of a text area as CR LF.
    labelWords: text("labelWords")
      .split(/\r?\n/u)
      .filter((word) => word !== ""),
    keepWeights: form.has("keepWeights"),
    hyperparameters: {
      method,
      objective,
      ...rateIn(text("learningRate")),
      linearProbe: form.has("linearProbe"),
      ...Object.fromEntries(numbers),
      ...lists,
      schedule,
      estimator,
      bestMetric,
      noise,
      precision,
    },
  };
}

/** One key per input: pressing the button again after a lost answer returns the same run instead of creating another. */
function useIdempotencyKey(): (input: CreateFineTuneInput) => string {
  const last = useRef({ content: "", key: "" });
  return (input) => {
    const content = JSON.stringify(input);
    if (last.current.content !== content) last.current = { content, key: randomKey() };
    return last.current.key;
  };
}

/** Browsers have no crypto.randomUUID on plain http, except on localhost. */
const randomKey = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(16)).join("-");
