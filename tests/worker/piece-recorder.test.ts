/** When pieces of answers are written. */
import { expect, onTestFinished, test, vi } from "vitest";
import type { Piece } from "../../schema/completion.ts";
import type { Answered } from "../../store/store.ts";
import { type RecorderEvents, PieceRecorder } from "../../worker/serving/piece-recorder.ts";
import type { Held } from "../../worker/serving/held.ts";

const ignored: RecorderEvents = { written() {}, cancel() {}, lost() {}, failed() {} };

function heldAs(id: number): Held {
  return { job: { id, token: 1 }, pieces: 0, seconds: () => 0 } as unknown as Held;
}

function pieceAt(firstToken: number): Piece {
  return { choice: 0, firstToken, tokens: [7], text: "a", logprobs: null, finish: null };
}

function recorder() {
  const written: number[] = [];
  const store = {
    async appendPieces(answers: readonly Answered[]) {
      written.push(...answers.map(({ job }) => job.id));
      return answers.map(() => "RUN" as const);
    },
    setStage: () => Promise.resolve(),
  };
  return { written, pieces: new PieceRecorder(store, ignored) };
}

test.each([0, 1])(
  "a request that was lost before its token %d was written keeps none of the others from being written",
  async (firstToken) => {
    const { written, pieces } = recorder();
    const [lost, other] = [heldAs(1), heldAs(2)];
    pieces.add(lost, pieceAt(firstToken));
    pieces.drop(lost);
    await new Promise((resolve) => setTimeout(resolve, 80));
    pieces.add(other, pieceAt(0));
    await expect.poll(() => written).toEqual([2]);
    pieces.add(other, pieceAt(1));
    await expect.poll(() => written).toEqual([2, 2]);
  },
);

test("first tokens are written at once, later ones when the oldest is 50 ms old, together", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  onTestFinished(() => void vi.useRealTimers());
  const { written, pieces } = recorder();
  const [one, other] = [heldAs(1), heldAs(2)];
  const turns = async () => {
    for (let left = 5; left > 0; left--) await new Promise(setImmediate);
  };
  pieces.add(one, pieceAt(0));
  await turns();
  expect(written).toEqual([1]);
  pieces.add(one, pieceAt(1));
  await vi.advanceTimersByTimeAsync(30);
  pieces.add(one, pieceAt(2));
  pieces.add(other, pieceAt(7));
  await vi.advanceTimersByTimeAsync(19);
  await turns();
  expect(written).toEqual([1]);
  await vi.advanceTimersByTimeAsync(1);
  await turns();
  expect(written).toEqual([1, 1, 2]);
  // What began to wait then has its own 50 ms.
  pieces.add(one, pieceAt(3));
  await vi.advanceTimersByTimeAsync(49);
  await turns();
  expect(written).toHaveLength(3);
  pieces.end(one, { status: "CANCELLED", usage: null });
  await turns();
  expect(written).toEqual([1, 1, 2, 1]);
});

test("a request is ending from when its end waits until it is written", async () => {
  let answer = () => {};
  const store = {
    appendPieces: (answers: readonly Answered[]) =>
      new Promise<"RUN"[]>((resolve) => (answer = () => resolve(answers.map(() => "RUN")))),
    setStage: () => Promise.resolve(),
  };
  const pieces = new PieceRecorder(store, ignored);
  const [ends, goesOn] = [heldAs(1), heldAs(2)];
  pieces.add(goesOn, pieceAt(0));
  pieces.end(ends, { status: "CANCELLED", usage: null });
  const ending = () => [pieces.isEnding(ends), pieces.isEnding(goesOn)];
  expect(ending()).toEqual([true, false]);
  await new Promise(setImmediate);
  expect(ending()).toEqual([true, false]);
  answer();
  await expect.poll(ending).toEqual([false, false]);
});
