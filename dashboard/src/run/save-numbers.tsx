/** A button that saves the numbers of a chart: those of every step, also where the chart draws several as one. */
import { useState } from "preact/hooks";
import { save } from "../api/client.ts";
import { asFailure, type Failure } from "../api/failure.ts";
import { formatShare } from "../format.ts";
import { Problem } from "../parts/problem.tsx";
import { csvOf } from "./chart-csv.ts";
import type { Chart } from "./chart-data.ts";

interface SaveProps {
  readonly chart: Chart;
  /** The same chart of every step, read anew; null where it is so already. */
  readonly exactly: ((onShare: (share: number) => void) => Promise<Chart>) | null;
  /** Name of the file. */
  readonly file: string;
}

export function SaveNumbers({ chart, exactly, file }: SaveProps) {
  const [share, setShare] = useState<number | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const saveAll = async () => {
    setFailure(null);
    try {
      if (exactly !== null) setShare(0);
      const whole = exactly === null ? chart : await exactly(setShare);
      save(new Blob([csvOf(whole)], { type: "text/csv" }), file);
    } catch (error) {
      setFailure(asFailure(error));
    }
    setShare(null);
  };
  return (
    <>
      <button
        type="button"
        class="quiet"
        aria-label={`Save the numbers of ${chart.title} as CSV`}
        title={exactly === null ? undefined : "Every step, also where the chart draws several as one"}
        disabled={share !== null}
        onClick={() => void saveAll()}
      >
        {share === null ? "CSV" : formatShare(share)}
      </button>
      {failure && <Problem title="The numbers could not be read" failure={failure} />}
    </>
  );
}
