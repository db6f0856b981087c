/** The public types of steplog/client are as promised; tsc checks them. */
import { expectTypeOf, test } from "vitest";
import type * as browser from "../../client/browser.ts";
import type {
  Checkpoint,
  FineTune,
  FineTuneUpdate,
  FollowCursor,
  SteplogClient,
  SteplogError,
  StoredDataset,
} from "../../client/index.ts";
import type { ErrorCode } from "../../schema/errors.ts";
import type { FineTuneStatus } from "../../schema/states.ts";

test("both entries have the same client", () => {
  expectTypeOf<ConstructorParameters<typeof SteplogClient>>().toEqualTypeOf<
    ConstructorParameters<typeof browser.SteplogClient>
  >();
  expectTypeOf<keyof SteplogClient>().toEqualTypeOf<keyof browser.SteplogClient>();
});

test("methods take and give what the API has", () => {
  type Client = SteplogClient;
  expectTypeOf<Client["createDataset"]>().returns.resolves.toEqualTypeOf<StoredDataset>();
  expectTypeOf<{ name: string; rows: { prompt: string }[] }>().toExtend<Parameters<Client["createDataset"]>[0]>();
  expectTypeOf<{ name: string }>().not.toExtend<Parameters<Client["createDataset"]>[0]>();
  expectTypeOf<Client["createFineTune"]>().returns.resolves.toEqualTypeOf<FineTune>();
  expectTypeOf<{ name: string; hyperparameters: { learningRate: "AUTO" } }>().toExtend<
    Parameters<Client["createFineTune"]>[0]
  >();
  expectTypeOf<{ name: string; hyperparameters: { method: "MAGIC" } }>().not.toExtend<
    Parameters<Client["createFineTune"]>[0]
  >();
  expectTypeOf<Client["follow"]>().returns.toExtend<AsyncIterable<FineTuneUpdate>>();
  expectTypeOf<Client["wait"]>().returns.resolves.toEqualTypeOf<FineTune>();
  expectTypeOf<Client["rebuild"]>().returns.resolves.toEqualTypeOf<Checkpoint>();
  expectTypeOf<Client["continue"]>().parameter(1).toExtend<{ readonly steps: number }>();
});

test("results name their states and codes", () => {
  expectTypeOf<FineTune["status"]>().toEqualTypeOf<FineTuneStatus>();
  expectTypeOf<NonNullable<FineTune["error"]>["code"]>().toEqualTypeOf<ErrorCode>();
  expectTypeOf<SteplogError["code"]>().toEqualTypeOf<ErrorCode>();
  expectTypeOf<FineTuneUpdate["type"]>().toEqualTypeOf<"step" | "event" | "status">();
  expectTypeOf<FineTuneUpdate["cursor"]>().toEqualTypeOf<FollowCursor>();
  expectTypeOf<Extract<FineTuneUpdate, { type: "step" }>["step"]["loss"]>().toEqualTypeOf<number | null>();
});
