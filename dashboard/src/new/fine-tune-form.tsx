import { useEffect, useRef, useState } from "preact/hooks";
import { defaultsWith } from "../../../schema/hyperparameter-defaults.ts";
import type { CreateFineTuneInput, StoredDataset } from "../../../client/browser.ts";
import { client } from "../api/client.ts";
import { createFineTune, estimateFineTune } from "./operations.ts";
import type { ChoicesQuery, EstimateFineTuneQuery } from "./operations.ts";
import { formatCompact, formatCounted } from "../format.ts";
import { CheckedForm } from "../parts/form/checked-form.tsx";
import { Estimate, refusalOf } from "./estimate.tsx";
import { Field } from "../parts/form/field.tsx";
import { asFailure, type Failure } from "../api/failure.ts";
import { RowsPreview } from "./rows-preview.tsx";
import { HyperparameterField, hyperparametersFor, hyperparametersIn } from "../parts/form/hyperparameters.tsx";
import { useLocation } from "preact-iso";
import { runPath } from "../base.ts";

interface FormProps {
  readonly choices: ChoicesQuery;
  /** The dataset that the form above stored last; null if none. */
  readonly stored: StoredDataset | null;
}

export function FineTuneForm({ choices, stored }: FormProps) {
  const { route } = useLocation();
  const { baseModels, datasets } = choices;
  const [failure, setFailure] = useState<Failure | null>(null);
  const [busy, setBusy] = useState<"creating" | "estimating" | null>(null);
  const [estimated, setEstimated] = useState<EstimateFineTuneQuery["estimateFineTune"] | null>(null);
  const [dataset, setDataset] = useState("");
  const [validation, setValidation] = useState("");
  const [test, setTest] = useState("");
  /** Some settings have other defaults, and other fields are shown, depending on these: choices, and the learning rate. */
  const [chosen, setChosen] = useState<Readonly<Record<string, unknown>>>({});
  const details = useRef<HTMLDetailsElement>(null);
  const fields = useRef<HTMLDivElement>(null);
  const defaults = defaultsWith(chosen);
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
    setBusy("creating");
    setFailure(null);
    try {
      const answer = await client.query(createFineTune, { input: { ...input, idempotencyKey: key(input) } });
      route(runPath(answer.createFineTune.fineTune.id));
    } catch (error) {
      setFailure(asFailure(error));
      setBusy(null);
    }
  };
  const estimate = async (form: HTMLFormElement | null) => {
    if (!form) return;
    const { name, dataset: rows, ...input } = readForm(new FormData(form));
    setBusy("estimating");
    setFailure(null);
    setEstimated(null);
    try {
      // A name can still come; it changes nothing.
      const asked = { ...input, name: name === "" ? "estimate" : name, dataset: rows === "" ? null : rows };
      const answer = (await client.query(estimateFineTune, { input: asked })).estimateFineTune;
      setFailure(refusalOf(answer));
      setEstimated(answer);
    } catch (error) {
      setFailure(asFailure(error));
    }
    setBusy(null);
  };
  return (
    <section class="card" onInput={() => setEstimated(null)}>
      <h2>2. Fine-tune</h2>
      {baseModels.nodes.length === 0 && (
        <p class="problem" role="alert">
          There are no base models yet. A worker registers those in its models folder when it starts.
        </p>
      )}
      <CheckedForm
        title="The fine-tune was not created"
        failure={failure}
        onSubmit={(event) => void create(event)}
        actions={
          <>
            <button type="submit" class="primary" disabled={busy !== null}>
              {busy === "creating" ? "Creating…" : "Create fine-tune"}
            </button>
            <button
              type="button"
              disabled={busy !== null}
              onClick={({ currentTarget }) => void estimate(currentTarget.form)}
            >
              {busy === "estimating" ? "Estimating…" : "Estimate"}
            </button>
          </>
        }
      >
        <div class="grid" ref={fields}>
          <Field label="Name" name="name">
            {(shared) => <input {...shared} required maxLength={200} />}
          </Field>
          <Field label="Base model" name="baseModel">
            {(shared) => (
              <select {...shared} required>
                {baseModels.nodes.map((model) => (
                  <option key={model.name} value={model.name}>
                    {model.name} ({model.family}, {formatCompact(model.parameters)} weights, {model.dtype})
                  </option>
                ))}
              </select>
            )}
          </Field>
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
        <Field label="Label words for accuracy, one per line, with leading spaces (optional)" name="labelWords">
          {(shared) => <textarea {...shared} rows={2} spellcheck={false} placeholder={" great\n terrible"} />}
        </Field>
        <RowsPreview read={() => (dataset === "" ? null : formAround(fields.current))} />
        <label class="check">
          <input name="keepWeights" type="checkbox" />
          Store the weights at the end (otherwise they are rebuilt from the log on request)
        </label>
        <details ref={details} onInvalidCapture={() => details.current?.setAttribute("open", "")}>
          <summary>Hyperparameters</summary>
          <div class="grid">
            {hyperparametersFor(chosen["method"]).map((name) => (
              <HyperparameterField
                key={name}
                name={name}
                defaultTo={defaults[name]}
                chosen={chosen[name]}
                onValue={(value) => setChosen({ ...chosen, [name]: value })}
              />
            ))}
          </div>
        </details>
        {estimated && <Estimate estimate={estimated} />}
      </CheckedForm>
    </section>
  );
}

function formAround(element: HTMLElement | null): CreateFineTuneInput | null {
  const form = element?.closest("form");
  return form ? readForm(new FormData(form)) : null;
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
    <Field label={label} name={name}>
      {(shared) => (
        <select
          {...shared}
          required={required}
          value={value}
          onChange={({ currentTarget }) => onValue(currentTarget.value)}
        >
          <option value="">{none}</option>
          {datasets.nodes.map(({ id, name: title, rows }) => (
            <option key={id} value={id} selected={id === value}>
              {title} ({formatCounted(rows, "row")})
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

function readForm(form: FormData): CreateFineTuneInput {
  const text = (name: string) => {
    const value = form.get(name);
    return typeof value === "string" ? value : "";
  };
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
    hyperparameters: hyperparametersIn(form),
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
