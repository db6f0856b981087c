/** Models found in the models folder that are not registered yet: what they are, or why they cannot be used. */
import { useState } from "preact/hooks";
import { asFailure, type Failure } from "../api/failure.ts";
import { change } from "../api/query.ts";
import { useMay } from "../api/viewer.ts";
import { formatCompact } from "../format.ts";
import { registerBaseModel, type ModelsQuery } from "./operations.ts";
import { Problem } from "../parts/problem.tsx";

type FoundModel = ModelsQuery["foundModels"][number];

interface Props {
  readonly models: readonly FoundModel[];
  /** Asks for the lists again. */
  readonly reload: () => void;
}

export function FoundModels({ models, reload }: Props) {
  const mayRegister = useMay()("WRITE");
  const [failure, setFailure] = useState<Failure | null>(null);
  const register = async (name: string) => {
    try {
      await change(registerBaseModel, { name });
      setFailure(null);
    } catch (error) {
      setFailure(asFailure(error));
    }
    reload();
  };
  if (models.length === 0) return null;
  return (
    <section aria-label="Found in the models folder">
      <h3>Found in the models folder</h3>
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
                {model.family !== null && mayRegister && (
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
