/** Models found in the models folder that are not registered yet: what they are, or why they cannot be used. */
import { useEffect, useState } from "preact/hooks";
import { client } from "../api/client.ts";
import { registerBaseModel, type ChoicesQuery } from "./operations.ts";
import { formatCompact } from "../format.ts";
import { asFailure, type Failure } from "../api/failure.ts";
import { Problem } from "../parts/problem.tsx";

type FoundModel = ChoicesQuery["foundModels"][number];

/** How often the list is refreshed while a registration runs. */
const pollMs = 1_000;

interface Props {
  readonly models: readonly FoundModel[];
  /** Refreshes the lists. */
  readonly read: () => Promise<void>;
}

export function FoundModels({ models, read }: Props) {
  const [failure, setFailure] = useState<Failure | null>(null);
  const waiting = models.some(({ registering }) => registering);
  useEffect(() => {
    if (!waiting) return undefined;
    const timer = setInterval(() => void read(), pollMs);
    return () => clearInterval(timer);
  }, [waiting]);

  const register = async (name: string) => {
    try {
      await client.query(registerBaseModel, { name });
      setFailure(null);
    } catch (error) {
      setFailure(asFailure(error));
    }
    await read();
  };
  if (models.length === 0) return null;
  return (
    <section class="card">
      <h2>Found in the models folder</h2>
      <table class="stacking">
        <thead>
          <tr>
            <th scope="col">Folder</th>
            <th scope="col">Model</th>
            <th />
          </tr>
        </thead>
        <tbody>
          {models.map((model) => (
            <tr key={model.name}>
              <th scope="row">{model.name}</th>
              <td data-label="Model" class="long">
                {model.problem ?? description(model)}
              </td>
              <td>
                {model.family !== null && (
                  <button
                    type="button"
                    disabled={model.registering}
                    onClick={() => void register(model.name)}
                    aria-label={`${model.registering ? "Registering…" : "Register"} ${model.name}`}
                  >
                    {model.registering ? "Registering…" : "Register"}
                  </button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {failure && <Problem title="The model was not registered" failure={failure} />}
    </section>
  );
}

function description({ family, parameters, dtype }: FoundModel): string {
  return `${family}, ${formatCompact(parameters ?? 0)} weights, ${dtype}`;
}
