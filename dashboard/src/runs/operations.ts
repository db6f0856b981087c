// Made by `npm run generate:operations` from schema/api.graphql. Do not edit.
import { operation } from "../../../client/operation.ts";
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type * as Types from '../../../client/schema-types.ts';

export type ListedRunFragment = {
  readonly id: string,
  readonly name: string,
  readonly status: Types.FineTuneStatus,
  readonly cancelRequested: boolean,
  readonly pauseRequested: boolean,
  readonly loss: number | null,
  readonly device: string | null,
  readonly pickedRate: number | null,
  readonly createdAt: string,
  readonly startedAt: string | null,
  readonly finishedAt: string | null,
  readonly baseModel: {
    readonly name: string,
    readonly bytes: number
  },
  readonly progress: {
    readonly step: number,
    readonly steps: number,
    readonly fraction: number,
    readonly stepsPerSecond: number | null,
    readonly etaSeconds: number | null,
    readonly skippedSteps: number,
    readonly zeroSteps: number
  },
  readonly error: {
    readonly code: Types.ErrorCode,
    readonly message: string,
    readonly issues: ReadonlyArray<{
      readonly line: number | null,
      readonly field: string | null,
      readonly message: string
    }>
  } | null
};

export type FineTunesQueryVariables = Exact<{
  after?: string | null | undefined;
}>;


export type FineTunesQuery = {
  readonly fineTunes: {
    readonly nodes: ReadonlyArray<ListedRunFragment>,
    readonly pageInfo: {
      readonly hasNextPage: boolean,
      readonly endCursor: string | null
    }
  }
};

export const fineTunes = operation<FineTunesQuery, FineTunesQueryVariables>(
  "FineTunes",
  "fragment ListedRun on FineTune{id name status cancelRequested pauseRequested baseModel{name bytes}loss device pickedRate progress{step steps fraction stepsPerSecond etaSeconds skippedSteps zeroSteps}error{code message issues{line field message}}createdAt startedAt finishedAt}query FineTunes($after:String){fineTunes(first:20 after:$after){nodes{...ListedRun}pageInfo{hasNextPage endCursor}}}",
);

