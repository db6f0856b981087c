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
    readonly cutRows: number,
    readonly notes: ReadonlyArray<string>,
    readonly tokens: {
      readonly min: number,
      readonly max: number,
      readonly mean: number,
      readonly scored: number
    },
    readonly issues: ReadonlyArray<{
      readonly line: number | null,
      readonly field: string | null,
      readonly message: string
    }>,
    readonly rows: ReadonlyArray<{
      readonly line: number,
      readonly length: number,
      readonly scored: number,
      readonly tokens: ReadonlyArray<{
        readonly id: number,
        readonly text: string | null,
        readonly scored: boolean,
        readonly target: string | null
      }>
    }>
  }
};

export type ChoicesQueryVariables = Exact<{
  after?: string | null | undefined;
}>;


export type ChoicesQuery = {
  readonly datasetPresets: ReadonlyArray<{
    readonly name: Types.DatasetPreset,
    readonly fields: string
  }>,
  readonly datasets: {
    readonly nodes: ReadonlyArray<{
      readonly id: string,
      readonly name: string,
      readonly rows: number,
      readonly createdAt: string
    }>,
    readonly pageInfo: {
      readonly hasNextPage: boolean,
      readonly endCursor: string | null
    }
  }
};

export type ModelsQueryVariables = Exact<{ [key: string]: never; }>;


export type ModelsQuery = {
  readonly baseModels: {
    readonly nodes: ReadonlyArray<{
      readonly name: string,
      readonly hash: string,
      readonly family: string,
      readonly dtype: string,
      readonly parameters: number,
      readonly bytes: number,
      readonly contextLength: number
    }>
  },
  readonly foundModels: ReadonlyArray<{
    readonly name: string,
    readonly family: string | null,
    readonly dtype: string | null,
    readonly parameters: number | null,
    readonly registering: boolean,
    readonly problem: string | null
  }>,
  readonly workers: ReadonlyArray<{
    readonly name: string,
    readonly kinds: ReadonlyArray<string>,
    readonly families: ReadonlyArray<string>,
    readonly memoryBytes: number,
    readonly models: ReadonlyArray<{
      readonly name: string,
      readonly hash: string
    }>
  }>
};

export type RowsToTuneOnQueryVariables = Exact<{
  id: string;
}>;


export type RowsToTuneOnQuery = {
  readonly dataset: {
    readonly name: string,
    readonly rows: number,
    readonly deletedAt: string | null
  } | null
};

export type RunToCopyQueryVariables = Exact<{
  id: string;
}>;


export type RunToCopyQuery = {
  readonly fineTune: {
    readonly id: string,
    readonly name: string,
    readonly pickedRate: number | null,
    readonly labelWords: ReadonlyArray<string>,
    readonly calibrationPrompt: string | null,
    readonly keepWeights: boolean,
    readonly priority: number,
    readonly tags: ReadonlyArray<string>,
    readonly baseModel: {
      readonly name: string
    },
    readonly from: {
      readonly id: string,
      readonly step: number
    } | null,
    readonly dataset: {
      readonly id: string,
      readonly name: string,
      readonly rows: number,
      readonly deletedAt: string | null
    },
    readonly validationDataset: {
      readonly id: string,
      readonly name: string,
      readonly rows: number,
      readonly deletedAt: string | null
    } | null,
    readonly testDataset: {
      readonly id: string,
      readonly name: string,
      readonly rows: number,
      readonly deletedAt: string | null
    } | null,
    readonly metadata: ReadonlyArray<{
      readonly key: string,
      readonly value: string
    }>,
    readonly hyperparameters: {
      readonly method: Types.Method,
      readonly tensors: ReadonlyArray<string>,
      readonly loraRank: number,
      readonly loraAlpha: number,
      readonly loraTargets: ReadonlyArray<string>,
      readonly prefixLength: number,
      readonly objective: Types.Objective,
      readonly answerTokens: number,
      readonly truncate: Types.Truncation,
      readonly steps: number,
      readonly batchSize: number,
      readonly accumulate: number,
      readonly estimator: Types.Estimator,
      readonly estimates: number,
      readonly estimatesAtEnd: number,
      readonly learningRate: number | "AUTO",
      readonly schedule: Types.Schedule,
      readonly warmupSteps: number,
      readonly clipGradient: number,
      readonly epsilon: number,
      readonly weightDecay: number,
      readonly noise: Types.NoiseKind,
      readonly precision: Types.Precision,
      readonly seed: number,
      readonly evaluateEvery: number,
      readonly bestMetric: Types.BestMetric,
      readonly patience: number,
      readonly inContextRows: number,
      readonly linearProbe: boolean,
      readonly whenDiverged: Types.WhenDiverged,
      readonly maxSeconds: number,
      readonly checkpointEvery: number
    }
  } | null
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
  waitSeconds?: number | null | undefined;
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

export type DiscardRowsMutationVariables = Exact<{
  id: string;
}>;


export type DiscardRowsMutation = {
  readonly deleteDataset: boolean
};

export const previewRows = operation<PreviewRowsQuery, PreviewRowsQueryVariables>(
  "PreviewRows",
  "query PreviewRows($input:PreviewRowsInput!){previewRows(input:$input){counted refused cutRows tokens{min max mean scored}issues{line field message}notes rows{line length scored tokens{id text scored target}}}}",
);

export const choices = operation<ChoicesQuery, ChoicesQueryVariables>(
  "Choices",
  "query Choices($after:String){datasetPresets{name fields}datasets(first:100 after:$after){nodes{id name rows createdAt}pageInfo{hasNextPage endCursor}}}",
);

export const models = operation<ModelsQuery, ModelsQueryVariables>(
  "Models",
  "query Models{baseModels(first:100){nodes{name hash family dtype parameters bytes contextLength}}foundModels{name family dtype parameters registering problem}workers{name kinds families memoryBytes models{name hash}}}",
);

export const rowsToTuneOn = operation<RowsToTuneOnQuery, RowsToTuneOnQueryVariables>(
  "RowsToTuneOn",
  "query RowsToTuneOn($id:ID!){dataset(id:$id){name rows deletedAt}}",
);

export const runToCopy = operation<RunToCopyQuery, RunToCopyQueryVariables>(
  "RunToCopy",
  "query RunToCopy($id:ID!){fineTune(id:$id){id name pickedRate baseModel{name}from{id step}dataset{id name rows deletedAt}validationDataset{id name rows deletedAt}testDataset{id name rows deletedAt}labelWords calibrationPrompt keepWeights priority tags metadata{key value}hyperparameters{method tensors loraRank loraAlpha loraTargets prefixLength objective answerTokens truncate steps batchSize accumulate estimator estimates estimatesAtEnd learningRate schedule warmupSteps clipGradient epsilon weightDecay noise precision seed evaluateEvery bestMetric patience inContextRows linearProbe whenDiverged maxSeconds checkpointEvery}}}",
);

export const registerBaseModel = operation<RegisterBaseModelMutation, RegisterBaseModelMutationVariables>(
  "RegisterBaseModel",
  "mutation RegisterBaseModel($name:String!){registerBaseModel(name:$name){baseModel{name}}}",
);

export const estimateFineTune = operation<EstimateFineTuneQuery, EstimateFineTuneQueryVariables>(
  "EstimateFineTune",
  "query EstimateFineTune($input:CreateFineTuneInput!$waitSeconds:Int){estimateFineTune(input:$input waitSeconds:$waitSeconds){errors{code message argument issues{line field message}}counts{training{rows tokens longest}steps{passes tokens}probes{passes tokens}evaluations{passes tokens}logBytes why}uncounted memoryBytes storedWeightsBytes workers{worker{name memoryBytes}lacks seconds{total}unmeasured}}}",
);

export const createFineTune = operation<CreateFineTuneMutation, CreateFineTuneMutationVariables>(
  "CreateFineTune",
  "mutation CreateFineTune($input:CreateFineTuneInput!){createFineTune(input:$input){fineTune{id}}}",
);

export const discardRows = operation<DiscardRowsMutation, DiscardRowsMutationVariables>(
  "DiscardRows",
  "mutation DiscardRows($id:ID!){deleteDataset(id:$id)}",
);

