/** Words for what uses a dataset or a model, for what was measured on one, and for when it ends. */
import { formatCounted, formatInteger, formatTime } from "../format.ts";

interface Uses {
  readonly fineTunes: number;
  readonly evaluations: number;
}

export function usesInWords({ fineTunes, evaluations }: Uses): string {
  const parts = [
    ...(fineTunes > 0 ? [formatCounted(fineTunes, "run")] : []),
    ...(evaluations > 0 ? [formatCounted(evaluations, "evaluation")] : []),
  ];
  return parts.length > 0 ? parts.join(", ") : "nothing";
}

interface Ending {
  readonly expiresAt: string | null;
  readonly expiryHeldBy: string | null;
}

export function endInWords({ expiresAt, expiryHeldBy }: Ending): string {
  if (expiresAt === null) return "never";
  return expiryHeldBy === null ? formatTime(expiresAt) : `was due ${formatTime(expiresAt)}; ${expiryHeldBy}`;
}

interface Measured {
  readonly baseModel: { readonly name: string };
  readonly checkpoint: { readonly step: number; readonly fineTune: { readonly name: string } } | null;
}

/** A checkpoint is not the model that it was tuned from. */
export const measuredInWords = ({ baseModel, checkpoint }: Measured) =>
  checkpoint === null ? baseModel.name : `step ${formatInteger(checkpoint.step)} of ${checkpoint.fineTune.name}`;
