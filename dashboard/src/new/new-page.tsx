/** Creates a dataset and a fine-tune. Errors from the server are shown beside the form, with their lines. */
import { useEffect, useState } from "preact/hooks";
import type { StoredDataset } from "../../../client/browser.ts";
import { client } from "../api/client.ts";
import { choices, type ChoicesQuery } from "./operations.ts";
import { asFailure, type Failure } from "../api/failure.ts";
import { Problem } from "../parts/problem.tsx";
import { DatasetForm } from "./dataset-form.tsx";
import { FineTuneForm } from "./fine-tune-form.tsx";
import { FoundModels } from "./found-models.tsx";

export function NewPage() {
  const [found, setFound] = useState<ChoicesQuery | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [stored, setStored] = useState<StoredDataset | null>(null);
  const read = async () => {
    try {
      setFound(await client.query(choices, {}));
      setFailure(null);
    } catch (error) {
      setFailure(asFailure(error));
    }
  };
  useEffect(() => {
    document.title = "New fine-tune · Steplog";
    void read();
  }, []);
  return (
    <>
      <h1>New fine-tune</h1>
      {failure && <Problem title="Cannot load models and datasets" failure={failure} />}
      <DatasetForm
        presets={found?.datasetPresets ?? []}
        onStored={async (dataset) => {
          await read();
          setStored(dataset);
        }}
      />
      {found && <FoundModels models={found.foundModels} read={read} />}
      {found && <FineTuneForm choices={found} stored={stored} />}
    </>
  );
}
