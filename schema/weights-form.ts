/** The forms that a checkpoint's weights can have, beside the one in which they were trained. */
import type { OutputDtype } from "./output-dtype.ts";
import { outputDtypes } from "./output-dtype.ts";

export interface WeightsForm {
  /** A LoRA adapter is added into the weights of its base. */
  readonly merged: boolean;
  /** Of all tensors; null for each in the dtype of training, or of the base. */
  readonly dtype: OutputDtype | null;
}

/** As trained: the form that needs no export. */
export function isPlain({ merged, dtype }: WeightsForm): boolean {
  return !merged && dtype === null;
}

/** For links and jobs: "merged", "float16", "merged-float16". */
export function formName({ merged, dtype }: WeightsForm): string {
  return [merged ? ["merged"] : [], dtype ?? []].flat().join("-");
}

/** The form of a name; null for one that no form has. */
export function formOf(name: string): WeightsForm | null {
  const forms = [null, ...outputDtypes].flatMap((dtype) => [false, true].map((merged) => ({ merged, dtype })));
  return forms.find((form) => !isPlain(form) && formName(form) === name) ?? null;
}
