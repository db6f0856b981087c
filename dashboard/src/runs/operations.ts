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
  readonly archivedAt: string | null,
  readonly tags: ReadonlyArray<string>,
  readonly loss: number | null,
  readonly estimatedSecondsLeft: number | null,
  readonly queuePosition: number | null,
  readonly createdAt: string,
  readonly finishedAt: string | null,
  readonly baseModel: {
    readonly name: string
  },
  readonly hyperparameters: {
    readonly method: Types.Method,
    readonly bestMetric: Types.BestMetric
  },
  readonly bestEvaluation: {
    readonly step: number,
    readonly loss: number | null,
    readonly accuracy: number | null,
    readonly f1: number | null,
    readonly exactMatch: number | null
  } | null,
  readonly progress: {
    readonly step: number,
    readonly steps: number,
    readonly fraction: number
  },
  readonly error: {
    readonly message: string
  } | null
};

export type ListFineTunesQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
  filter?: Types.FineTuneFilter | null | undefined;
  sort?: Types.FineTuneSort | null | undefined;
  reverse?: boolean | null | undefined;
}>;


export type ListFineTunesQuery = {
  readonly fineTunes: {
    readonly totalCount: number,
    readonly nodes: ReadonlyArray<ListedRunFragment>,
    readonly pageInfo: {
      readonly hasNextPage: boolean,
      readonly endCursor: string | null
    }
  }
};

export type ShownRunsQueryVariables = Exact<{
  ids: ReadonlyArray<string>;
}>;


export type ShownRunsQuery = {
  readonly nodes: ReadonlyArray<
    | ListedRunFragment
    | Record<PropertyKey, never>
   | null>
};

export type SparksQueryVariables = Exact<{
  ids: ReadonlyArray<string>;
}>;


export type SparksQuery = {
  readonly nodes: ReadonlyArray<
    | {
      readonly id: string,
      readonly chart: ReadonlyArray<{
        readonly loss: number | null
      }>
    }
    | Record<PropertyKey, never>
   | null>
};

export type RunFiltersQueryVariables = Exact<{ [key: string]: never; }>;


export type RunFiltersQuery = {
  readonly baseModels: {
    readonly nodes: ReadonlyArray<{
      readonly name: string
    }>
  }
};

export type LabelFineTuneMutationVariables = Exact<{
  id: string;
  input: Types.UpdateFineTuneInput;
}>;


export type LabelFineTuneMutation = {
  readonly updateFineTune: {
    readonly id: string,
    readonly archivedAt: string | null,
    readonly tags: ReadonlyArray<string>
  }
};

export type StopFineTuneMutationVariables = Exact<{
  id: string;
}>;


export type StopFineTuneMutation = {
  readonly cancelFineTune: {
    readonly id: string,
    readonly status: Types.FineTuneStatus,
    readonly cancelRequested: boolean
  }
};

export type DeleteFineTuneMutationVariables = Exact<{
  id: string;
  cancel?: boolean | null | undefined;
}>;


export type DeleteFineTuneMutation = {
  readonly deleteFineTune: boolean
};

export const listFineTunes = operation<ListFineTunesQuery, ListFineTunesQueryVariables>(
  "ListFineTunes",
  "fragment ListedRun on FineTune{id name status cancelRequested pauseRequested archivedAt tags loss estimatedSecondsLeft queuePosition createdAt finishedAt baseModel{name}hyperparameters{method bestMetric}bestEvaluation{step loss accuracy f1 exactMatch}progress{step steps fraction}error{message}}query ListFineTunes($first:Int!$after:String$filter:FineTuneFilter$sort:FineTuneSort$reverse:Boolean){fineTunes(first:$first after:$after filter:$filter sort:$sort reverse:$reverse){totalCount nodes{...ListedRun}pageInfo{hasNextPage endCursor}}}",
);

export const shownRuns = operation<ShownRunsQuery, ShownRunsQueryVariables>(
  "ShownRuns",
  "fragment ListedRun on FineTune{id name status cancelRequested pauseRequested archivedAt tags loss estimatedSecondsLeft queuePosition createdAt finishedAt baseModel{name}hyperparameters{method bestMetric}bestEvaluation{step loss accuracy f1 exactMatch}progress{step steps fraction}error{message}}query ShownRuns($ids:[ID!]!){nodes(ids:$ids){...on FineTune{...ListedRun}}}",
);

export const sparks = operation<SparksQuery, SparksQueryVariables>(
  "Sparks",
  "query Sparks($ids:[ID!]!){nodes(ids:$ids){...on FineTune{id chart(points:40){loss}}}}",
);

export const runFilters = operation<RunFiltersQuery, RunFiltersQueryVariables>(
  "RunFilters",
  "query RunFilters{baseModels(first:100){nodes{name}}}",
);

export const labelFineTune = operation<LabelFineTuneMutation, LabelFineTuneMutationVariables>(
  "LabelFineTune",
  "mutation LabelFineTune($id:ID!$input:UpdateFineTuneInput!){updateFineTune(id:$id input:$input){id archivedAt tags}}",
);

export const stopFineTune = operation<StopFineTuneMutation, StopFineTuneMutationVariables>(
  "StopFineTune",
  "mutation StopFineTune($id:ID!){cancelFineTune(id:$id){id status cancelRequested}}",
);

export const deleteFineTune = operation<DeleteFineTuneMutation, DeleteFineTuneMutationVariables>(
  "DeleteFineTune",
  "mutation DeleteFineTune($id:ID!$cancel:Boolean){deleteFineTune(id:$id cancel:$cancel)}",
);

