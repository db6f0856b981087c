// Made by `npm run generate:operations` from schema/api.graphql. Do not edit.
import { operation } from "../../../client/operation.ts";
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type * as Types from '../../../client/schema-types.ts';

export type PreviewRowsQueryVariables = Exact<{
  input: Types.PreviewRowsInput;
}>;


export type PreviewRowsQuery = {
  readonly previewRows: {
    readonly counted: number,
    readonly refused: number,
    readonly notes: ReadonlyArray<string>,
    readonly tokens: {
      readonly min: number,
      readonly max: number,
      readonly mean: number
    },
    readonly issues: ReadonlyArray<{
      readonly line: number | null,
      readonly field: string | null,
      readonly message: string
    }>
  }
};

export type ChoicesQueryVariables = Exact<{ [key: string]: never; }>;


export type ChoicesQuery = {
  readonly datasetPresets: ReadonlyArray<{
    readonly name: Types.DatasetPreset,
    readonly fields: string
  }>,
  readonly foundModels: ReadonlyArray<{
    readonly name: string,
    readonly family: string | null,
    readonly dtype: string | null,
    readonly parameters: number | null,
    readonly registering: boolean,
    readonly problem: string | null
  }>,
  readonly baseModels: {
    readonly nodes: ReadonlyArray<{
      readonly name: string,
      readonly family: string,
      readonly dtype: string,
      readonly parameters: number,
      readonly contextLength: number
    }>
  },
  readonly datasets: {
    readonly nodes: ReadonlyArray<{
      readonly id: string,
      readonly name: string,
      readonly rows: number
    }>
  }
};

export type RegisterBaseModelMutationVariables = Exact<{
  name: string;
}>;


export type RegisterBaseModelMutation = {
  readonly registerBaseModel: {
    readonly baseModel: {
      readonly name: string
    } | null
  }
};

export type EstimateFineTuneQueryVariables = Exact<{
  input: Types.CreateFineTuneInput;
}>;


export type EstimateFineTuneQuery = {
  readonly estimateFineTune: {
    readonly uncounted: string | null,
    readonly memoryBytes: number | null,
    readonly storedWeightsBytes: number | null,
    readonly errors: ReadonlyArray<{
      readonly code: Types.ErrorCode,
      readonly message: string,
      readonly argument: string | null,
      readonly issues: ReadonlyArray<{
        readonly line: number | null,
        readonly field: string | null,
        readonly message: string
      }>
    }>,
    readonly counts: {
      readonly logBytes: number,
      readonly why: string | null,
      readonly training: {
        readonly rows: number,
        readonly tokens: number,
        readonly longest: number
      },
      readonly steps: {
        readonly passes: number,
        readonly tokens: number
      },
      readonly probes: {
        readonly passes: number,
        readonly tokens: number
      },
      readonly evaluations: ReadonlyArray<{
        readonly passes: number,
        readonly tokens: number
      }>
    } | null,
    readonly workers: ReadonlyArray<{
      readonly lacks: ReadonlyArray<string>,
      readonly unmeasured: string | null,
      readonly worker: {
        readonly name: string,
        readonly memoryBytes: number
      },
      readonly seconds: {
        readonly total: number
      } | null
    }>
  }
};

export type CreateFineTuneMutationVariables = Exact<{
  input: Types.CreateFineTuneInput;
}>;


export type CreateFineTuneMutation = {
  readonly createFineTune: {
    readonly fineTune: {
      readonly id: string
    }
  }
};

export const previewRows = operation<PreviewRowsQuery, PreviewRowsQueryVariables>(
  "PreviewRows",
  "query PreviewRows($input:PreviewRowsInput!){previewRows(input:$input){counted refused tokens{min max mean}issues{line field message}notes}}",
);

export const choices = operation<ChoicesQuery, ChoicesQueryVariables>(
  "Choices",
  "query Choices{datasetPresets{name fields}foundModels{name family dtype parameters registering problem}baseModels(first:100){nodes{name family dtype parameters contextLength}}datasets(first:100){nodes{id name rows}}}",
);

export const registerBaseModel = operation<RegisterBaseModelMutation, RegisterBaseModelMutationVariables>(
  "RegisterBaseModel",
  "mutation RegisterBaseModel($name:String!){registerBaseModel(name:$name){baseModel{name}}}",
);

export const estimateFineTune = operation<EstimateFineTuneQuery, EstimateFineTuneQueryVariables>(
  "EstimateFineTune",
  "query EstimateFineTune($input:CreateFineTuneInput!){estimateFineTune(input:$input){errors{code message argument issues{line field message}}counts{training{rows tokens longest}steps{passes tokens}probes{passes tokens}evaluations{passes tokens}logBytes why}uncounted memoryBytes storedWeightsBytes workers{worker{name memoryBytes}lacks seconds{total}unmeasured}}}",
);

export const createFineTune = operation<CreateFineTuneMutation, CreateFineTuneMutationVariables>(
  "CreateFineTune",
  "mutation CreateFineTune($input:CreateFineTuneInput!){createFineTune(input:$input){fineTune{id}}}",
);

