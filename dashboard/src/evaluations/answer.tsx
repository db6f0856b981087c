/** What a model answered to one row, and whether that is right; the loss where it was asked for no answer. */
import { formatLoss } from "../format.ts";

export interface Answered {
  readonly answer: string | null;
  readonly right: boolean | null;
  readonly loss: number | null;
}

export function Answer({ answer, right, loss }: Answered) {
  if (answer === null || right === null) return <>loss {formatLoss(loss)}</>;
  return (
    <>
      {answer} <small class={right ? "good" : "bad"}>{right ? "right" : "wrong"}</small>
    </>
  );
}
