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
      readonly name: string,
      readonly createdAt: string,
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
  reverse?: boolean | null | undefined;
  first?: number | null | undefined;
  after?: string | null | undefined;
  counted?: boolean;
}>;


export type ListedRunsQuery = {
  readonly fineTunes: {
    readonly totalCount?: number,
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
  counted?: boolean;
}>;


export type ListedDatasetsQuery = {
  readonly datasets: {
    readonly totalCount?: number,
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
  counted?: boolean;
}>;


export type ListedModelsQuery = {
  readonly baseModels: {
    readonly totalCount?: number,
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

export type NamedBaseModelQueryVariables = Exact<{
  name: string;
}>;


export type NamedBaseModelQuery = {
  readonly baseModel: {
    readonly id: string
  } | null
};

export type ListedCheckpointsQueryVariables = Exact<{
  id: string;
  first?: number | null | undefined;
  after?: string | null | undefined;
  counted?: boolean;
}>;


export type ListedCheckpointsQuery = {
  readonly fineTune: {
    readonly checkpoints: {
      readonly totalCount?: number,
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

export type ListedEvaluationsQueryVariables = Exact<{
  first?: number | null | undefined;
  after?: string | null | undefined;
  counted?: boolean;
}>;


export type ListedEvaluationsQuery = {
  readonly modelEvaluations: {
    readonly totalCount?: number,
    readonly nodes: ReadonlyArray<ListedEvaluationFragment>,
    readonly pageInfo: {
      readonly hasNextPage: boolean,
      readonly endCursor: string | null
    }
  }
};

export type ListedEvaluationsOfRunQueryVariables = Exact<{
  id: string;
  first?: number | null | undefined;
  after?: string | null | undefined;
  counted?: boolean;
}>;


export type ListedEvaluationsOfRunQuery = {
  readonly fineTune: {
    readonly modelEvaluations: {
      readonly totalCount?: number,
      readonly nodes: ReadonlyArray<ListedEvaluationFragment>,
      readonly pageInfo: {
        readonly hasNextPage: boolean,
        readonly endCursor: string | null
      }
    }
  } | null
};

export type ListedEvaluationFragment = {
  readonly id: string,
  readonly status: Types.ModelEvaluationStatus,
  readonly rows: number | null,
  readonly loss: number | null,
  readonly accuracy: number | null,
  readonly f1: number | null,
  readonly exactMatch: number | null,
  readonly createdAt: string,
  readonly finishedAt: string | null,
  readonly expiresAt: string | null,
  readonly baseModel: {
    readonly name: string
  },
  readonly checkpoint: {
    readonly id: string,
    readonly step: number
  } | null,
  readonly dataset: {
    readonly id: string,
    readonly name: string
  }
};

export type ListedExportsQueryVariables = Exact<{
  id: string;
  first?: number | null | undefined;
  after?: string | null | undefined;
}>;


export type ListedExportsQuery = {
  readonly fineTune: {
    readonly checkpoints: {
      readonly nodes: ReadonlyArray<{
        readonly id: string,
        readonly step: number,
        readonly exports: ReadonlyArray<{
          readonly merged: boolean,
          readonly dtype: Types.WeightsDtype | null,
          readonly status: Types.WeightsStatus,
          readonly bytes: number | null,
          readonly error: string | null,
          readonly waitingReason: string | null,
          readonly createdAt: string,
          readonly expiresAt: string | null
        }>
      }>,
      readonly pageInfo: {
        readonly hasNextPage: boolean,
        readonly endCursor: string | null
      }
    }
  } | null
};

export type ListedWebhooksQueryVariables = Exact<{ [key: string]: never; }>;


export type ListedWebhooksQuery = {
  readonly webhooks: ReadonlyArray<{
    readonly id: string,
    readonly url: string,
    readonly description: string,
    readonly events: ReadonlyArray<string>,
    readonly enabled: boolean,
    readonly disabledReason: string | null,
    readonly disabledAt: string | null,
    readonly failingSince: string | null,
    readonly createdAt: string,
    readonly deliveries: {
      readonly totalCount: number
    }
  }>
};

export type ChangedWebhookFragment = {
  readonly id: string,
  readonly url: string,
  readonly description: string,
  readonly events: ReadonlyArray<string>,
  readonly enabled: boolean
};

export type WebhookDeliveryFragment = {
  readonly id: string,
  readonly webhookId: string,
  readonly type: string,
  readonly status: Types.WebhookDeliveryStatus,
  readonly createdAt: string,
  readonly nextAttemptAt: string | null,
  readonly attempts: ReadonlyArray<{
    readonly number: number,
    readonly at: string,
    readonly seconds: number | null,
    readonly responseCode: number | null,
    readonly error: string | null
  }>
};

export type CreateWebhookMutationVariables = Exact<{
  input: Types.CreateWebhookInput;
}>;


export type CreateWebhookMutation = {
  readonly createWebhook: {
    readonly secret: string,
    readonly webhook: ChangedWebhookFragment
  }
};

export type ChangeWebhookMutationVariables = Exact<{
  id: string;
  input: Types.UpdateWebhookInput;
}>;


export type ChangeWebhookMutation = {
  readonly updateWebhook: ChangedWebhookFragment
};

export type RotateWebhookSecretMutationVariables = Exact<{
  id: string;
}>;


export type RotateWebhookSecretMutation = {
  readonly rotateWebhookSecret: {
    readonly secret: string,
    readonly webhook: ChangedWebhookFragment
  }
};

export type DeleteWebhookMutationVariables = Exact<{
  id: string;
}>;


export type DeleteWebhookMutation = {
  readonly deleteWebhook: boolean
};

export type TestWebhookMutationVariables = Exact<{
  id: string;
}>;


export type TestWebhookMutation = {
  readonly testWebhook: WebhookDeliveryFragment
};

export type ReplayWebhookMutationVariables = Exact<{
  id: string;
  webhookId?: string | null | undefined;
  since?: string | null | undefined;
}>;


export type ReplayWebhookMutation = {
  readonly replayWebhook: number
};

export type WebhookDeliveryQueryVariables = Exact<{
  id: string;
}>;


export type WebhookDeliveryQuery = {
  readonly node:
    | {
      readonly __typename: 'ApiKey'
    }
    | {
      readonly __typename: 'BaseModel'
    }
    | {
      readonly __typename: 'Checkpoint'
    }
    | {
      readonly __typename: 'Completion'
    }
    | {
      readonly __typename: 'Dataset'
    }
    | {
      readonly __typename: 'FineTune'
    }
    | {
      readonly __typename: 'ModelEvaluation'
    }
    | {
      readonly __typename: 'Project'
    }
    | {
      readonly __typename: 'Sweep'
    }
    | {
      readonly __typename: 'Webhook'
    }
    | (
      {
      readonly __typename: 'WebhookDelivery'
    }
      & WebhookDeliveryFragment
    )
   | null
};

export type WebhookDeliveriesQueryVariables = Exact<{
  id: string;
  status?: Types.WebhookDeliveryStatus | null | undefined;
  first?: number | null | undefined;
  after?: string | null | undefined;
  counted?: boolean;
}>;


export type WebhookDeliveriesQuery = {
  readonly webhook: {
    readonly deliveries: {
      readonly totalCount?: number,
      readonly nodes: ReadonlyArray<WebhookDeliveryFragment>,
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

export type WatchedRunQueryVariables = Exact<{
  id: string;
}>;


export type WatchedRunQuery = {
  readonly fineTune: {
    readonly id: string,
    readonly name: string,
    readonly status: Types.FineTuneStatus,
    readonly loss: number | null,
    readonly pauseRequested: boolean,
    readonly cancelRequested: boolean,
    readonly waitingReason: string | null,
    readonly queuePosition: number | null,
    readonly estimatedSecondsLeft: number | null,
    readonly baseModel: {
      readonly name: string
    },
    readonly dataset: {
      readonly name: string
    },
    readonly progress: {
      readonly step: number,
      readonly steps: number,
      readonly fraction: number,
      readonly stepsPerSecond: number | null,
      readonly skippedSteps: number
    },
    readonly evaluations: ReadonlyArray<ShownEvaluationFragment>,
    readonly bestEvaluation: {
      readonly step: number
    } | null,
    readonly checkpoints: {
      readonly nodes: ReadonlyArray<{
        readonly id: string,
        readonly step: number,
        readonly logBytes: number
      }>
    }
  } | null
};

export type WatchedChartQueryVariables = Exact<{
  id: string;
  points: number;
}>;


export type WatchedChartQuery = {
  readonly fineTune: {
    readonly chart: ReadonlyArray<{
      readonly step: number,
      readonly count: number,
      readonly loss: number | null
    }>
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

export type DeleteWeightsMutationVariables = Exact<{
  id: string;
}>;


export type DeleteWeightsMutation = {
  readonly deleteWeights: {
    readonly id: string
  }
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

export type SetExpiryMutationVariables = Exact<{
  id: string;
  expiry: Types.ExpiryInput;
}>;


export type SetExpiryMutation = {
  readonly setExpiry: {
    readonly expiresAt: string | null
  }
};

export type DeleteSweepMutationVariables = Exact<{
  id: string;
  runs?: boolean | null | undefined;
  cancel?: boolean | null | undefined;
}>;


export type DeleteSweepMutation = {
  readonly deleteSweep: boolean
};

export type CancelSweepMutationVariables = Exact<{
  id: string;
}>;


export type CancelSweepMutation = {
  readonly cancelSweep: {
    readonly id: string,
    readonly name: string,
    readonly statuses: ReadonlyArray<{
      readonly status: Types.FineTuneStatus,
      readonly count: number
    }>,
    readonly runs: ReadonlyArray<{
      readonly id: string,
      readonly name: string,
      readonly status: Types.FineTuneStatus,
      readonly cancelRequested: boolean
    }>
  }
};

export type CreateSweepFromFileMutationVariables = Exact<{
  input: Types.CreateSweepInput;
}>;


export type CreateSweepFromFileMutation = {
  readonly createSweep: {
    readonly created: boolean,
    readonly sweep: {
      readonly id: string,
      readonly name: string,
      readonly varied: ReadonlyArray<string>,
      readonly passes: number,
      readonly statuses: ReadonlyArray<{
        readonly status: Types.FineTuneStatus,
        readonly count: number
      }>
    }
  }
};

export type EstimateSweepOfFileQueryVariables = Exact<{
  input: Types.CreateSweepInput;
}>;


export type EstimateSweepOfFileQuery = {
  readonly estimateSweep: {
    readonly runs: number,
    readonly steps: number,
    readonly passes: number,
    readonly errors: ReadonlyArray<{
      readonly code: Types.ErrorCode,
      readonly message: string,
      readonly argument: string | null,
      readonly issues: ReadonlyArray<{
        readonly line: number | null,
        readonly field: string | null,
        readonly message: string
      }>
    }>
  }
};

export type ListedSweepsQueryVariables = Exact<{
  first?: number | null | undefined;
  after?: string | null | undefined;
  counted?: boolean;
}>;


export type ListedSweepsQuery = {
  readonly sweeps: {
    readonly totalCount?: number,
    readonly nodes: ReadonlyArray<{
      readonly id: string,
      readonly name: string,
      readonly varied: ReadonlyArray<string>,
      readonly createdAt: string,
      readonly statuses: ReadonlyArray<{
        readonly status: Types.FineTuneStatus,
        readonly count: number
      }>,
      readonly best: {
        readonly id: string,
        readonly name: string,
        readonly bestEvaluation: {
          readonly step: number,
          readonly loss: number | null,
          readonly accuracy: number | null,
          readonly f1: number | null,
          readonly exactMatch: number | null,
          readonly rows: number
        } | null
      } | null
    }>,
    readonly pageInfo: {
      readonly hasNextPage: boolean,
      readonly endCursor: string | null
    }
  }
};

export type ShownSweepQueryVariables = Exact<{
  id: string;
}>;


export type ShownSweepQuery = {
  readonly sweep: {
    readonly id: string,
    readonly name: string,
    readonly varied: ReadonlyArray<string>,
    readonly passes: number,
    readonly createdAt: string,
    readonly statuses: ReadonlyArray<{
      readonly status: Types.FineTuneStatus,
      readonly count: number
    }>,
    readonly best: {
      readonly id: string
    } | null,
    readonly runs: ReadonlyArray<{
      readonly id: string,
      readonly name: string,
      readonly status: Types.FineTuneStatus,
      readonly pauseRequested: boolean,
      readonly cancelRequested: boolean,
      readonly loss: number | null,
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
      } | null,
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
    }>
  } | null
};

export const find = operation<FindQuery, FindQueryVariables>(
  "Find",
  "query Find($type:FindableType!$text:String!){find(type:$type text:$text){id ...on FineTune{name status createdAt}...on Dataset{name createdAt}...on Checkpoint{step createdAt}...on ModelEvaluation{createdAt}...on Sweep{name createdAt}}}",
);

export const listedRuns = operation<ListedRunsQuery, ListedRunsQueryVariables>(
  "ListedRuns",
  "query ListedRuns($filter:FineTuneFilter$sort:FineTuneSort$reverse:Boolean$first:Int$after:String$counted:Boolean!=false){fineTunes(filter:$filter sort:$sort reverse:$reverse first:$first after:$after){totalCount@include(if:$counted)nodes{id name status tags priority archivedAt createdAt finishedAt loss pauseRequested cancelRequested queuePosition estimatedSecondsLeft baseModel{name}progress{step steps}bestEvaluation{step loss accuracy f1 exactMatch rows}}pageInfo{hasNextPage endCursor}}}",
);

export const listedDatasets = operation<ListedDatasetsQuery, ListedDatasetsQueryVariables>(
  "ListedDatasets",
  "query ListedDatasets($first:Int$after:String$counted:Boolean!=false){datasets(first:$first after:$after){totalCount@include(if:$counted)nodes{id name rows bytes sha256 createdAt expiresAt}pageInfo{hasNextPage endCursor}}}",
);

export const listedModels = operation<ListedModelsQuery, ListedModelsQueryVariables>(
  "ListedModels",
  "query ListedModels($first:Int$after:String$counted:Boolean!=false){baseModels(first:$first after:$after){totalCount@include(if:$counted)nodes{id name family dtype parameters bytes contextLength hash}pageInfo{hasNextPage endCursor}}}",
);

export const namedBaseModel = operation<NamedBaseModelQuery, NamedBaseModelQueryVariables>(
  "NamedBaseModel",
  "query NamedBaseModel($name:String!){baseModel(name:$name){id}}",
);

export const listedCheckpoints = operation<ListedCheckpointsQuery, ListedCheckpointsQueryVariables>(
  "ListedCheckpoints",
  "query ListedCheckpoints($id:ID!$first:Int$after:String$counted:Boolean!=false){fineTune(id:$id){checkpoints(first:$first after:$after){totalCount@include(if:$counted)nodes{id step entries logBytes weightsStatus weightsBytes aliases createdAt expiresAt}pageInfo{hasNextPage endCursor}}}}",
);

export const listedEvaluations = operation<ListedEvaluationsQuery, ListedEvaluationsQueryVariables>(
  "ListedEvaluations",
  "query ListedEvaluations($first:Int$after:String$counted:Boolean!=false){modelEvaluations(first:$first after:$after){totalCount@include(if:$counted)nodes{...ListedEvaluation}pageInfo{hasNextPage endCursor}}}fragment ListedEvaluation on ModelEvaluation{id status rows loss accuracy f1 exactMatch createdAt finishedAt expiresAt baseModel{name}checkpoint{id step}dataset{id name}}",
);

export const listedEvaluationsOfRun = operation<ListedEvaluationsOfRunQuery, ListedEvaluationsOfRunQueryVariables>(
  "ListedEvaluationsOfRun",
  "query ListedEvaluationsOfRun($id:ID!$first:Int$after:String$counted:Boolean!=false){fineTune(id:$id){modelEvaluations(first:$first after:$after){totalCount@include(if:$counted)nodes{...ListedEvaluation}pageInfo{hasNextPage endCursor}}}}fragment ListedEvaluation on ModelEvaluation{id status rows loss accuracy f1 exactMatch createdAt finishedAt expiresAt baseModel{name}checkpoint{id step}dataset{id name}}",
);

export const listedExports = operation<ListedExportsQuery, ListedExportsQueryVariables>(
  "ListedExports",
  "query ListedExports($id:ID!$first:Int$after:String){fineTune(id:$id){checkpoints(first:$first after:$after){nodes{id step exports{merged dtype status bytes error waitingReason createdAt expiresAt}}pageInfo{hasNextPage endCursor}}}}",
);

export const listedWebhooks = operation<ListedWebhooksQuery, ListedWebhooksQueryVariables>(
  "ListedWebhooks",
  "query ListedWebhooks{webhooks{id url description events enabled disabledReason disabledAt failingSince createdAt deliveries(first:0 status:PENDING){totalCount}}}",
);

export const createWebhook = operation<CreateWebhookMutation, CreateWebhookMutationVariables>(
  "CreateWebhook",
  "fragment ChangedWebhook on Webhook{id url description events enabled}mutation CreateWebhook($input:CreateWebhookInput!){createWebhook(input:$input){secret webhook{...ChangedWebhook}}}",
);

export const changeWebhook = operation<ChangeWebhookMutation, ChangeWebhookMutationVariables>(
  "ChangeWebhook",
  "fragment ChangedWebhook on Webhook{id url description events enabled}mutation ChangeWebhook($id:ID!$input:UpdateWebhookInput!){updateWebhook(id:$id input:$input){...ChangedWebhook}}",
);

export const rotateWebhookSecret = operation<RotateWebhookSecretMutation, RotateWebhookSecretMutationVariables>(
  "RotateWebhookSecret",
  "fragment ChangedWebhook on Webhook{id url description events enabled}mutation RotateWebhookSecret($id:ID!){rotateWebhookSecret(id:$id){secret webhook{...ChangedWebhook}}}",
);

export const deleteWebhook = operation<DeleteWebhookMutation, DeleteWebhookMutationVariables>(
  "DeleteWebhook",
  "mutation DeleteWebhook($id:ID!){deleteWebhook(id:$id)}",
);

export const testWebhook = operation<TestWebhookMutation, TestWebhookMutationVariables>(
  "TestWebhook",
  "fragment WebhookDelivery on WebhookDelivery{id webhookId type status createdAt nextAttemptAt attempts{number at seconds responseCode error}}mutation TestWebhook($id:ID!){testWebhook(id:$id){...WebhookDelivery}}",
);

export const replayWebhook = operation<ReplayWebhookMutation, ReplayWebhookMutationVariables>(
  "ReplayWebhook",
  "mutation ReplayWebhook($id:ID!$webhookId:String$since:DateTime){replayWebhook(id:$id webhookId:$webhookId since:$since)}",
);

export const webhookDelivery = operation<WebhookDeliveryQuery, WebhookDeliveryQueryVariables>(
  "WebhookDelivery",
  "fragment WebhookDelivery on WebhookDelivery{id webhookId type status createdAt nextAttemptAt attempts{number at seconds responseCode error}}query WebhookDelivery($id:ID!){node(id:$id){__typename ...on WebhookDelivery{...WebhookDelivery}}}",
);

export const webhookDeliveries = operation<WebhookDeliveriesQuery, WebhookDeliveriesQueryVariables>(
  "WebhookDeliveries",
  "fragment WebhookDelivery on WebhookDelivery{id webhookId type status createdAt nextAttemptAt attempts{number at seconds responseCode error}}query WebhookDeliveries($id:ID!$status:WebhookDeliveryStatus$first:Int$after:String$counted:Boolean!=false){webhook(id:$id){deliveries(first:$first after:$after status:$status){totalCount@include(if:$counted)nodes{...WebhookDelivery}pageInfo{hasNextPage endCursor}}}}",
);

export const shownRun = operation<ShownRunQuery, ShownRunQueryVariables>(
  "ShownRun",
  "query ShownRun($id:ID!){fineTune(id:$id){id name status device tags metadata{key value}priority archivedAt createdAt startedAt finishedAt expiresAt loss pauseRequested cancelRequested waitingReason queuePosition estimatedSecondsLeft pickedRate labelWords keepWeights logUrl baseModel{name}dataset{id name rows}validationDataset{id name rows}testDataset{id name rows}from{id step}progress{step steps stepsPerSecond skippedSteps zeroSteps}hyperparameters{accumulate answerTokens batchSize bestMetric checkpointEvery clipGradient epsilon estimates estimatesAtEnd estimator evaluateEvery inContextRows learningRate linearProbe loraAlpha loraRank loraTargets maxSeconds method noise objective patience precision prefixLength schedule seed steps tensors truncate warmupSteps weightDecay whenDiverged}evaluations{...ShownEvaluation}tests:evaluations(kind:TEST){...ShownEvaluation}bestEvaluation{...ShownEvaluation}checkpoints(first:10){nodes{id step logBytes weightsStatus aliases}pageInfo{hasNextPage}}events(first:2000){sequence type message at}error{code message issues{line field message}}}}fragment ShownEvaluation on Evaluation{step rows loss accuracy f1 exactMatch}",
);

export const watchedRun = operation<WatchedRunQuery, WatchedRunQueryVariables>(
  "WatchedRun",
  "query WatchedRun($id:ID!){fineTune(id:$id){id name status loss pauseRequested cancelRequested waitingReason queuePosition estimatedSecondsLeft baseModel{name}dataset{name}progress{step steps fraction stepsPerSecond skippedSteps}evaluations{...ShownEvaluation}bestEvaluation{step}checkpoints(first:3){nodes{id step logBytes}}}}fragment ShownEvaluation on Evaluation{step rows loss accuracy f1 exactMatch}",
);

export const watchedChart = operation<WatchedChartQuery, WatchedChartQueryVariables>(
  "WatchedChart",
  "query WatchedChart($id:ID!$points:Int!){fineTune(id:$id){chart(points:$points){step count loss}}}",
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

export const deleteWeights = operation<DeleteWeightsMutation, DeleteWeightsMutationVariables>(
  "DeleteWeights",
  "mutation DeleteWeights($id:ID!){deleteWeights(id:$id){id}}",
);

export const deleteDataset = operation<DeleteDatasetMutation, DeleteDatasetMutationVariables>(
  "DeleteDataset",
  "mutation DeleteDataset($id:ID!){deleteDataset(id:$id)}",
);

export const deleteEvaluation = operation<DeleteEvaluationMutation, DeleteEvaluationMutationVariables>(
  "DeleteEvaluation",
  "mutation DeleteEvaluation($id:ID!){deleteEvaluation(id:$id)}",
);

export const setExpiry = operation<SetExpiryMutation, SetExpiryMutationVariables>(
  "SetExpiry",
  "mutation SetExpiry($id:ID!$expiry:ExpiryInput!){setExpiry(id:$id expiry:$expiry){expiresAt}}",
);

export const deleteSweep = operation<DeleteSweepMutation, DeleteSweepMutationVariables>(
  "DeleteSweep",
  "mutation DeleteSweep($id:ID!$runs:Boolean$cancel:Boolean){deleteSweep(id:$id runs:$runs cancel:$cancel)}",
);

export const cancelSweep = operation<CancelSweepMutation, CancelSweepMutationVariables>(
  "CancelSweep",
  "mutation CancelSweep($id:ID!){cancelSweep(id:$id){id name statuses{status count}runs{id name status cancelRequested}}}",
);

export const createSweepFromFile = operation<CreateSweepFromFileMutation, CreateSweepFromFileMutationVariables>(
  "CreateSweepFromFile",
  "mutation CreateSweepFromFile($input:CreateSweepInput!){createSweep(input:$input){created sweep{id name varied passes statuses{status count}}}}",
);

export const estimateSweepOfFile = operation<EstimateSweepOfFileQuery, EstimateSweepOfFileQueryVariables>(
  "EstimateSweepOfFile",
  "query EstimateSweepOfFile($input:CreateSweepInput!){estimateSweep(input:$input){runs steps passes errors{code message argument issues{line field message}}}}",
);

export const listedSweeps = operation<ListedSweepsQuery, ListedSweepsQueryVariables>(
  "ListedSweeps",
  "query ListedSweeps($first:Int$after:String$counted:Boolean!=false){sweeps(first:$first after:$after){totalCount@include(if:$counted)nodes{id name varied createdAt statuses{status count}best{id name bestEvaluation{step loss accuracy f1 exactMatch rows}}}pageInfo{hasNextPage endCursor}}}",
);

export const shownSweep = operation<ShownSweepQuery, ShownSweepQueryVariables>(
  "ShownSweep",
  "query ShownSweep($id:ID!){sweep(id:$id){id name varied passes createdAt statuses{status count}best{id}runs{id name status pauseRequested cancelRequested loss progress{step steps}bestEvaluation{step loss accuracy f1 exactMatch rows}hyperparameters{method tensors loraRank loraAlpha loraTargets prefixLength objective answerTokens truncate steps batchSize accumulate estimator estimates estimatesAtEnd learningRate schedule warmupSteps clipGradient epsilon weightDecay noise precision seed evaluateEvery bestMetric patience inContextRows linearProbe whenDiverged maxSeconds checkpointEvery}}}}",
);

