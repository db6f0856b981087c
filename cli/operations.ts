// Made by `npm run generate:operations` from schema/api.graphql. Do not edit.
import { operation } from "../client/operation.ts";
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type * as Types from '../client/schema-types.ts';

export type FindQueryVariables = Exact<{
  type: Types.FindableType;
  text: string;
}>;


export type FindQuery = {
  readonly find: ReadonlyArray<
    | {
      readonly id: string
    }
    | {
      readonly id: string
    }
    | {
      readonly step: number,
      readonly createdAt: string,
      readonly id: string
    }
    | {
      readonly id: string
    }
    | {
      readonly name: string,
      readonly createdAt: string,
      readonly id: string
    }
    | {
      readonly name: string,
      readonly status: Types.FineTuneStatus,
      readonly createdAt: string,
      readonly id: string
    }
    | {
      readonly createdAt: string,
      readonly id: string
    }
    | {
      readonly id: string
    }
    | {
      readonly id: string
    }
    | {
      readonly id: string
    }
   | null>
};

export type ListedRunsQueryVariables = Exact<{
  filter?: Types.FineTuneFilter | null | undefined;
  sort?: Types.FineTuneSort | null | undefined;
  first?: number | null | undefined;
  after?: string | null | undefined;
}>;


export type ListedRunsQuery = {
  readonly fineTunes: {
    readonly totalCount: number,
    readonly nodes: ReadonlyArray<{
      readonly id: string,
      readonly name: string,
      readonly status: Types.FineTuneStatus,
      readonly tags: ReadonlyArray<string>,
      readonly priority: number,
      readonly archivedAt: string | null,
      readonly createdAt: string,
      readonly finishedAt: string | null,
      readonly loss: number | null,
      readonly pauseRequested: boolean,
      readonly cancelRequested: boolean,
      readonly queuePosition: number | null,
      readonly estimatedSecondsLeft: number | null,
      readonly baseModel: {
        readonly name: string
      },
      readonly progress: {
        readonly step: number,
        readonly steps: number
      },
      readonly bestEvaluation: {
        readonly step: number,
        readonly loss: number | null,
        readonly accuracy: number | null,
        readonly f1: number | null,
        readonly exactMatch: number | null,
        readonly rows: number
      } | null
    }>,
    readonly pageInfo: {
      readonly hasNextPage: boolean,
      readonly endCursor: string | null
    }
  }
};

export type ListedDatasetsQueryVariables = Exact<{
  first?: number | null | undefined;
  after?: string | null | undefined;
}>;


export type ListedDatasetsQuery = {
  readonly datasets: {
    readonly nodes: ReadonlyArray<{
      readonly id: string,
      readonly name: string,
      readonly rows: number,
      readonly bytes: number,
      readonly sha256: string,
      readonly createdAt: string,
      readonly expiresAt: string | null
    }>,
    readonly pageInfo: {
      readonly hasNextPage: boolean,
      readonly endCursor: string | null
    }
  }
};

export type ListedModelsQueryVariables = Exact<{
  first?: number | null | undefined;
  after?: string | null | undefined;
}>;


export type ListedModelsQuery = {
  readonly baseModels: {
    readonly nodes: ReadonlyArray<{
      readonly id: string,
      readonly name: string,
      readonly family: string,
      readonly dtype: string,
      readonly parameters: number,
      readonly bytes: number,
      readonly contextLength: number,
      readonly hash: string
    }>,
    readonly pageInfo: {
      readonly hasNextPage: boolean,
      readonly endCursor: string | null
    }
  }
};

export type ListedCheckpointsQueryVariables = Exact<{
  id: string;
  first?: number | null | undefined;
  after?: string | null | undefined;
}>;


export type ListedCheckpointsQuery = {
  readonly fineTune: {
    readonly checkpoints: {
      readonly nodes: ReadonlyArray<{
        readonly id: string,
        readonly step: number,
        readonly entries: number,
        readonly logBytes: number,
        readonly weightsStatus: Types.WeightsStatus,
        readonly weightsBytes: number | null,
        readonly aliases: ReadonlyArray<string>,
        readonly createdAt: string,
        readonly expiresAt: string | null
      }>,
      readonly pageInfo: {
        readonly hasNextPage: boolean,
        readonly endCursor: string | null
      }
    }
  } | null
};

export type ShownRunQueryVariables = Exact<{
  id: string;
}>;


export type ShownRunQuery = {
  readonly fineTune: {
    readonly id: string,
    readonly name: string,
    readonly status: Types.FineTuneStatus,
    readonly device: string | null,
    readonly tags: ReadonlyArray<string>,
    readonly priority: number,
    readonly archivedAt: string | null,
    readonly createdAt: string,
    readonly startedAt: string | null,
    readonly finishedAt: string | null,
    readonly expiresAt: string | null,
    readonly loss: number | null,
    readonly pauseRequested: boolean,
    readonly cancelRequested: boolean,
    readonly waitingReason: string | null,
    readonly queuePosition: number | null,
    readonly estimatedSecondsLeft: number | null,
    readonly pickedRate: number | null,
    readonly labelWords: ReadonlyArray<string>,
    readonly keepWeights: boolean,
    readonly logUrl: string | null,
    readonly metadata: ReadonlyArray<{
      readonly key: string,
      readonly value: string
    }>,
    readonly baseModel: {
      readonly name: string
    },
    readonly dataset: {
      readonly id: string,
      readonly name: string,
      readonly rows: number
    },
    readonly validationDataset: {
      readonly id: string,
      readonly name: string,
      readonly rows: number
    } | null,
    readonly testDataset: {
      readonly id: string,
      readonly name: string,
      readonly rows: number
    } | null,
    readonly from: {
      readonly id: string,
      readonly step: number
    } | null,
    readonly progress: {
      readonly step: number,
      readonly steps: number,
      readonly stepsPerSecond: number | null,
      readonly skippedSteps: number,
      readonly zeroSteps: number
    },
    readonly hyperparameters: {
      readonly accumulate: number,
      readonly answerTokens: number,
      readonly batchSize: number,
      readonly bestMetric: Types.BestMetric,
      readonly checkpointEvery: number,
      readonly clipGradient: number,
      readonly epsilon: number,
      readonly estimates: number,
      readonly estimatesAtEnd: number,
      readonly estimator: Types.Estimator,
      readonly evaluateEvery: number,
      readonly inContextRows: number,
      readonly learningRate: number | "AUTO",
      readonly linearProbe: boolean,
      readonly loraAlpha: number,
      readonly loraRank: number,
      readonly loraTargets: ReadonlyArray<string>,
      readonly maxSeconds: number,
      readonly method: Types.Method,
      readonly noise: Types.NoiseKind,
      readonly objective: Types.Objective,
      readonly patience: number,
      readonly precision: Types.Precision,
      readonly prefixLength: number,
      readonly schedule: Types.Schedule,
      readonly seed: number,
      readonly steps: number,
      readonly tensors: ReadonlyArray<string>,
      readonly truncate: Types.Truncation,
      readonly warmupSteps: number,
      readonly weightDecay: number,
      readonly whenDiverged: Types.WhenDiverged
    },
    readonly evaluations: ReadonlyArray<ShownEvaluationFragment>,
    readonly tests: ReadonlyArray<ShownEvaluationFragment>,
    readonly bestEvaluation: ShownEvaluationFragment | null,
    readonly checkpoints: {
      readonly nodes: ReadonlyArray<{
        readonly id: string,
        readonly step: number,
        readonly logBytes: number,
        readonly weightsStatus: Types.WeightsStatus,
        readonly aliases: ReadonlyArray<string>
      }>,
      readonly pageInfo: {
        readonly hasNextPage: boolean
      }
    },
    readonly events: ReadonlyArray<{
      readonly sequence: number,
      readonly type: string,
      readonly message: string,
      readonly at: string
    }>,
    readonly error: {
      readonly code: Types.ErrorCode,
      readonly message: string,
      readonly issues: ReadonlyArray<{
        readonly line: number | null,
        readonly field: string | null,
        readonly message: string
      }>
    } | null
  } | null
};

export type ShownEvaluationFragment = {
  readonly step: number,
  readonly rows: number,
  readonly loss: number | null,
  readonly accuracy: number | null,
  readonly f1: number | null,
  readonly exactMatch: number | null
};

export type NamedModelQueryVariables = Exact<{
  name: string;
}>;


export type NamedModelQuery = {
  readonly alias: {
    readonly name: string
  } | null,
  readonly baseModels: {
    readonly nodes: ReadonlyArray<{
      readonly name: string
    }>
  },
  readonly runs: ReadonlyArray<
    | {
      readonly id: string
    }
    | {
      readonly id: string
    }
    | {
      readonly id: string
    }
    | {
      readonly id: string
    }
    | {
      readonly id: string
    }
    | {
      readonly name: string,
      readonly status: Types.FineTuneStatus,
      readonly createdAt: string,
      readonly id: string
    }
    | {
      readonly id: string
    }
    | {
      readonly id: string
    }
    | {
      readonly id: string
    }
    | {
      readonly id: string
    }
   | null>,
  readonly checkpoints: ReadonlyArray<
    | {
      readonly id: string
    }
    | {
      readonly id: string
    }
    | {
      readonly step: number,
      readonly createdAt: string,
      readonly id: string
    }
    | {
      readonly id: string
    }
    | {
      readonly id: string
    }
    | {
      readonly id: string
    }
    | {
      readonly id: string
    }
    | {
      readonly id: string
    }
    | {
      readonly id: string
    }
    | {
      readonly id: string
    }
   | null>
};

export type DeleteRunMutationVariables = Exact<{
  id: string;
  cancel?: boolean | null | undefined;
}>;


export type DeleteRunMutation = {
  readonly deleteFineTune: boolean
};

export type DeleteCheckpointMutationVariables = Exact<{
  id: string;
}>;


export type DeleteCheckpointMutation = {
  readonly deleteCheckpoint: boolean
};

export type DeleteDatasetMutationVariables = Exact<{
  id: string;
}>;


export type DeleteDatasetMutation = {
  readonly deleteDataset: boolean
};

export type DeleteEvaluationMutationVariables = Exact<{
  id: string;
}>;


export type DeleteEvaluationMutation = {
  readonly deleteEvaluation: boolean
};

export const find = operation<FindQuery, FindQueryVariables>(
  "Find",
  "query Find($type:FindableType!$text:String!){find(type:$type text:$text){id ...on FineTune{name status createdAt}...on Dataset{name createdAt}...on Checkpoint{step createdAt}...on ModelEvaluation{createdAt}}}",
);

export const listedRuns = operation<ListedRunsQuery, ListedRunsQueryVariables>(
  "ListedRuns",
  "query ListedRuns($filter:FineTuneFilter$sort:FineTuneSort$first:Int$after:String){fineTunes(filter:$filter sort:$sort first:$first after:$after){totalCount nodes{id name status tags priority archivedAt createdAt finishedAt loss pauseRequested cancelRequested queuePosition estimatedSecondsLeft baseModel{name}progress{step steps}bestEvaluation{step loss accuracy f1 exactMatch rows}}pageInfo{hasNextPage endCursor}}}",
);

export const listedDatasets = operation<ListedDatasetsQuery, ListedDatasetsQueryVariables>(
  "ListedDatasets",
  "query ListedDatasets($first:Int$after:String){datasets(first:$first after:$after){nodes{id name rows bytes sha256 createdAt expiresAt}pageInfo{hasNextPage endCursor}}}",
);

export const listedModels = operation<ListedModelsQuery, ListedModelsQueryVariables>(
  "ListedModels",
  "query ListedModels($first:Int$after:String){baseModels(first:$first after:$after){nodes{id name family dtype parameters bytes contextLength hash}pageInfo{hasNextPage endCursor}}}",
);

export const listedCheckpoints = operation<ListedCheckpointsQuery, ListedCheckpointsQueryVariables>(
  "ListedCheckpoints",
  "query ListedCheckpoints($id:ID!$first:Int$after:String){fineTune(id:$id){checkpoints(first:$first after:$after){nodes{id step entries logBytes weightsStatus weightsBytes aliases createdAt expiresAt}pageInfo{hasNextPage endCursor}}}}",
);

export const shownRun = operation<ShownRunQuery, ShownRunQueryVariables>(
  "ShownRun",
  "query ShownRun($id:ID!){fineTune(id:$id){id name status device tags metadata{key value}priority archivedAt createdAt startedAt finishedAt expiresAt loss pauseRequested cancelRequested waitingReason queuePosition estimatedSecondsLeft pickedRate labelWords keepWeights logUrl baseModel{name}dataset{id name rows}validationDataset{id name rows}testDataset{id name rows}from{id step}progress{step steps stepsPerSecond skippedSteps zeroSteps}hyperparameters{accumulate answerTokens batchSize bestMetric checkpointEvery clipGradient epsilon estimates estimatesAtEnd estimator evaluateEvery inContextRows learningRate linearProbe loraAlpha loraRank loraTargets maxSeconds method noise objective patience precision prefixLength schedule seed steps tensors truncate warmupSteps weightDecay whenDiverged}evaluations{...ShownEvaluation}tests:evaluations(kind:TEST){...ShownEvaluation}bestEvaluation{...ShownEvaluation}checkpoints(first:10){nodes{id step logBytes weightsStatus aliases}pageInfo{hasNextPage}}events(first:2000){sequence type message at}error{code message issues{line field message}}}}fragment ShownEvaluation on Evaluation{step rows loss accuracy f1 exactMatch}",
);

export const namedModel = operation<NamedModelQuery, NamedModelQueryVariables>(
  "NamedModel",
  "query NamedModel($name:String!){alias(name:$name){name}baseModels(first:100){nodes{name}}runs:find(type:FINE_TUNE text:$name){id ...on FineTune{name status createdAt}}checkpoints:find(type:CHECKPOINT text:$name){id ...on Checkpoint{step createdAt}}}",
);

export const deleteRun = operation<DeleteRunMutation, DeleteRunMutationVariables>(
  "DeleteRun",
  "mutation DeleteRun($id:ID!$cancel:Boolean){deleteFineTune(id:$id cancel:$cancel)}",
);

export const deleteCheckpoint = operation<DeleteCheckpointMutation, DeleteCheckpointMutationVariables>(
  "DeleteCheckpoint",
  "mutation DeleteCheckpoint($id:ID!){deleteCheckpoint(id:$id)}",
);

export const deleteDataset = operation<DeleteDatasetMutation, DeleteDatasetMutationVariables>(
  "DeleteDataset",
  "mutation DeleteDataset($id:ID!){deleteDataset(id:$id)}",
);

export const deleteEvaluation = operation<DeleteEvaluationMutation, DeleteEvaluationMutationVariables>(
  "DeleteEvaluation",
  "mutation DeleteEvaluation($id:ID!){deleteEvaluation(id:$id)}",
);

