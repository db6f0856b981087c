// Made by `npm run generate:operations` from schema/api.graphql. Do not edit.
import { operation } from "../../../client/operation.ts";
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type * as Types from '../../../client/schema-types.ts';

export type SummaryFragment = {
  readonly id: string,
  readonly name: string,
  readonly tags: ReadonlyArray<string>,
  readonly archivedAt: string | null,
  readonly status: Types.FineTuneStatus,
  readonly cancelRequested: boolean,
  readonly pauseRequested: boolean,
  readonly loss: number | null,
  readonly device: string | null,
  readonly pickedRate: number | null,
  readonly estimatedSecondsLeft: number | null,
  readonly createdAt: string,
  readonly startedAt: string | null,
  readonly finishedAt: string | null,
  readonly baseModel: {
    readonly family: string,
    readonly name: string,
    readonly bytes: number
  },
  readonly progress: {
    readonly step: number,
    readonly steps: number,
    readonly fraction: number,
    readonly stepsPerSecond: number | null,
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

export type ResultsFragment = {
  readonly waitingReason: string | null,
  readonly logUrl: string | null,
  readonly log: {
    readonly entries: number,
    readonly bytes: number,
    readonly chainHash: string | null,
    readonly lastPairs: ReadonlyArray<{
      readonly entry: number,
      readonly seed: string,
      readonly scalar: number
    }>
  },
  readonly evaluations: ReadonlyArray<{
    readonly kind: Types.EvaluationKind,
    readonly step: number,
    readonly rows: number,
    readonly loss: number | null,
    readonly accuracy: number | null,
    readonly f1: number | null,
    readonly exactMatch: number | null
  }>,
  readonly bestEvaluation: {
    readonly step: number
  } | null,
  readonly memory: {
    readonly weightsBytes: number,
    readonly readings: ReadonlyArray<{
      readonly kind: Types.MemoryKind,
      readonly step: number,
      readonly residentBytes: number,
      readonly peakBytes: number | null
    }>
  },
  readonly bestCheckpoint: ListedCheckpointFragment | null,
  readonly checkpoints: CheckpointPageFragment
};

export type CheckpointPageFragment = {
  readonly nodes: ReadonlyArray<ListedCheckpointFragment>,
  readonly pageInfo: {
    readonly hasNextPage: boolean,
    readonly endCursor: string | null
  }
};

export type ListedCheckpointFragment = {
  readonly id: string,
  readonly entries: number,
  readonly step: number,
  readonly aliases: ReadonlyArray<string>,
  readonly chainHash: string,
  readonly logUrl: string,
  readonly logBytes: number,
  readonly weightsStatus: Types.WeightsStatus,
  readonly weightsUrl: string | null,
  readonly weightsBytes: number | null,
  readonly weightsError: string | null,
  readonly weightsWaitingReason: string | null,
  readonly weightsFiles: ReadonlyArray<{
    readonly name: string,
    readonly url: string
  }>
};

export type OlderCheckpointsQueryVariables = Exact<{
  id: string;
  after: string;
}>;


export type OlderCheckpointsQuery = {
  readonly fineTune: {
    readonly checkpoints: CheckpointPageFragment
  } | null
};

export type ChartedFragment = {
  readonly step: number,
  readonly loss: number | null,
  readonly projectedGradient: number | null,
  readonly learningRate: number,
  readonly seconds: number,
  readonly count: number
};

export type FineTuneQueryVariables = Exact<{
  id: string;
}>;


export type FineTuneQuery = {
  readonly fineTune: (
    {
    readonly labelWords: ReadonlyArray<string>,
    readonly keepWeights: boolean,
    readonly calibrationPrompt: string | null,
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
      readonly step: number,
      readonly fineTune: {
        readonly id: string,
        readonly name: string
      }
    } | null,
    readonly sweep: {
      readonly id: string,
      readonly name: string
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
    },
    readonly chart: ReadonlyArray<ChartedFragment>
  }
    & SummaryFragment
    & ResultsFragment
  ) | null
};

export type ChartPartQueryVariables = Exact<{
  id: string;
  from: number;
  to: number;
}>;


export type ChartPartQuery = {
  readonly fineTune: {
    readonly chart: ReadonlyArray<ChartedFragment>
  } | null
};

export type ExactStepsQueryVariables = Exact<{
  id: string;
  after: number;
  first: number;
}>;


export type ExactStepsQuery = {
  readonly fineTune: {
    readonly metrics: ReadonlyArray<{
      readonly step: number,
      readonly loss: number | null,
      readonly projectedGradient: number | null,
      readonly learningRate: number,
      readonly seconds: number
    }>
  } | null
};

export type ResultsQueryVariables = Exact<{
  id: string;
}>;


export type ResultsQuery = {
  readonly fineTune: ResultsFragment | null
};

export type ContinueFineTuneMutationVariables = Exact<{
  input: Types.ContinueFineTuneInput;
}>;


export type ContinueFineTuneMutation = {
  readonly continueFineTune: {
    readonly fineTune: {
      readonly id: string
    }
  }
};

export type PauseFineTuneMutationVariables = Exact<{
  id: string;
}>;


export type PauseFineTuneMutation = {
  readonly pauseFineTune: SummaryFragment
};

export type ResumeFineTuneMutationVariables = Exact<{
  id: string;
}>;


export type ResumeFineTuneMutation = {
  readonly resumeFineTune: SummaryFragment
};

export type CancelFineTuneMutationVariables = Exact<{
  id: string;
}>;


export type CancelFineTuneMutation = {
  readonly cancelFineTune: SummaryFragment
};

export type MaterialiseCheckpointMutationVariables = Exact<{
  id: string;
  merged?: boolean | null | undefined;
  dtype?: Types.WeightsDtype | null | undefined;
}>;


export type MaterialiseCheckpointMutation = {
  readonly materialiseCheckpoint: {
    readonly id: string,
    readonly weightsStatus: Types.WeightsStatus
  }
};

export type CheckpointFormsQueryVariables = Exact<{
  id: string;
}>;


export type CheckpointFormsQuery = {
  readonly checkpoint: {
    readonly exports: ReadonlyArray<{
      readonly merged: boolean,
      readonly dtype: Types.WeightsDtype | null,
      readonly status: Types.WeightsStatus,
      readonly bytes: number | null,
      readonly error: string | null,
      readonly waitingReason: string | null,
      readonly files: ReadonlyArray<{
        readonly name: string,
        readonly url: string
      }>
    }>
  } | null
};

export type StatusSubscriptionVariables = Exact<{
  id: string;
}>;


export type StatusSubscription = {
  readonly fineTuneStatus: SummaryFragment
};

export type StepsSubscriptionVariables = Exact<{
  id: string;
  after: number;
}>;


export type StepsSubscription = {
  readonly steps: {
    readonly cursor: number,
    readonly step: {
      readonly step: number,
      readonly loss: number | null,
      readonly projectedGradient: number | null,
      readonly learningRate: number,
      readonly seconds: number
    }
  }
};

export type EventsSubscriptionVariables = Exact<{
  id: string;
  after: number;
}>;


export type EventsSubscription = {
  readonly events: {
    readonly cursor: number,
    readonly event: {
      readonly sequence: number,
      readonly type: string,
      readonly message: string,
      readonly at: string
    }
  }
};

export type UpdateFineTuneMutationVariables = Exact<{
  id: string;
  input: Types.UpdateFineTuneInput;
}>;


export type UpdateFineTuneMutation = {
  readonly updateFineTune: SummaryFragment
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

export type SetAliasMutationVariables = Exact<{
  name: string;
  model: Types.ModelInput;
}>;


export type SetAliasMutation = {
  readonly setAlias: {
    readonly name: string
  }
};

export type RollBackAliasMutationVariables = Exact<{
  name: string;
}>;


export type RollBackAliasMutation = {
  readonly rollBackAlias: {
    readonly name: string,
    readonly baseModel: {
      readonly name: string
    },
    readonly checkpoint: {
      readonly step: number,
      readonly fineTune: {
        readonly name: string
      }
    } | null
  }
};

export type RemoveAliasMutationVariables = Exact<{
  name: string;
}>;


export type RemoveAliasMutation = {
  readonly removeAlias: boolean
};

export type EvaluateCheckpointMutationVariables = Exact<{
  input: Types.CreateEvaluationInput;
}>;


export type EvaluateCheckpointMutation = {
  readonly createEvaluation: {
    readonly evaluation: {
      readonly id: string,
      readonly status: Types.ModelEvaluationStatus,
      readonly checkpoint: {
        readonly fineTune: {
          readonly id: string
        }
      } | null
    }
  }
};

export type AskedEvaluationsQueryVariables = Exact<{
  id: string;
}>;


export type AskedEvaluationsQuery = {
  readonly fineTune: {
    readonly modelEvaluations: {
      readonly nodes: ReadonlyArray<{
        readonly id: string,
        readonly status: Types.ModelEvaluationStatus,
        readonly waitingReason: string | null,
        readonly rows: number | null,
        readonly loss: number | null,
        readonly accuracy: number | null,
        readonly f1: number | null,
        readonly exactMatch: number | null,
        readonly error: {
          readonly code: Types.ErrorCode,
          readonly message: string
        } | null,
        readonly dataset: {
          readonly id: string,
          readonly name: string
        },
        readonly checkpoint: {
          readonly id: string,
          readonly step: number
        } | null
      }>
    }
  } | null
};

export type CheckpointChoicesQueryVariables = Exact<{
  id: string;
}>;


export type CheckpointChoicesQuery = {
  readonly fineTune: {
    readonly checkpoints: {
      readonly nodes: ReadonlyArray<{
        readonly id: string,
        readonly step: number
      }>,
      readonly pageInfo: {
        readonly hasNextPage: boolean
      }
    }
  } | null
};

export type AnswersBeforeQueryVariables = Exact<{
  id: string;
}>;


export type AnswersBeforeQuery = {
  readonly fineTune: {
    readonly modelEvaluations: {
      readonly nodes: ReadonlyArray<(
        {
        readonly checkpoint: {
          readonly id: string,
          readonly step: number
        } | null
      }
        & AskedFragment
      )>
    },
    readonly baseModel: {
      readonly evaluations: {
        readonly nodes: ReadonlyArray<AskedFragment>
      }
    }
  } | null
};

export type AskedFragment = {
  readonly id: string,
  readonly status: Types.ModelEvaluationStatus,
  readonly labelWords: ReadonlyArray<string>,
  readonly answerTokens: number,
  readonly waitingReason: string | null,
  readonly dataset: {
    readonly id: string
  },
  readonly error: {
    readonly code: Types.ErrorCode,
    readonly message: string
  } | null
};

export type AnswersAskedQueryVariables = Exact<{
  before: string;
  after: string;
}>;


export type AnswersAskedQuery = {
  readonly before: AskedFragment | null,
  readonly after: AskedFragment | null
};

export type AnsweredQueryVariables = Exact<{
  before: string;
  after: string;
  from: number;
}>;


export type AnsweredQuery = {
  readonly before: {
    readonly rows: number | null,
    readonly examples: ReadonlyArray<{
      readonly row: number,
      readonly answer: string | null,
      readonly right: boolean | null,
      readonly loss: number | null
    }>
  } | null,
  readonly after: {
    readonly examples: ReadonlyArray<{
      readonly row: number,
      readonly prompt: string | null,
      readonly expected: string | null,
      readonly answer: string | null,
      readonly right: boolean | null,
      readonly loss: number | null
    }>
  } | null
};

export type AskForAnswersMutationVariables = Exact<{
  before: Types.CreateEvaluationInput;
  after: Types.CreateEvaluationInput;
}>;


export type AskForAnswersMutation = {
  readonly before: {
    readonly evaluation: {
      readonly id: string,
      readonly status: Types.ModelEvaluationStatus
    }
  },
  readonly after: {
    readonly evaluation: {
      readonly id: string,
      readonly status: Types.ModelEvaluationStatus,
      readonly checkpoint: {
        readonly fineTune: {
          readonly id: string
        }
      } | null
    }
  }
};

export const olderCheckpoints = operation<OlderCheckpointsQuery, OlderCheckpointsQueryVariables>(
  "OlderCheckpoints",
  "fragment CheckpointPage on CheckpointConnection{nodes{...ListedCheckpoint}pageInfo{hasNextPage endCursor}}fragment ListedCheckpoint on Checkpoint{id entries step aliases chainHash logUrl logBytes weightsStatus weightsUrl weightsBytes weightsFiles{name url}weightsError weightsWaitingReason}query OlderCheckpoints($id:ID!$after:String!){fineTune(id:$id){checkpoints(first:20 after:$after){...CheckpointPage}}}",
);

export const fineTune = operation<FineTuneQuery, FineTuneQueryVariables>(
  "FineTune",
  "fragment Summary on FineTune{id name tags archivedAt status cancelRequested pauseRequested baseModel{family name bytes}loss device pickedRate estimatedSecondsLeft progress{step steps fraction stepsPerSecond skippedSteps zeroSteps}error{code message issues{line field message}}createdAt startedAt finishedAt}fragment Results on FineTune{waitingReason logUrl log{entries bytes chainHash lastPairs(count:5){entry seed scalar}}evaluations(kind:null){kind step rows loss accuracy f1 exactMatch}bestEvaluation{step}memory{weightsBytes readings{kind step residentBytes peakBytes}}bestCheckpoint{...ListedCheckpoint}checkpoints(first:20){...CheckpointPage}}fragment CheckpointPage on CheckpointConnection{nodes{...ListedCheckpoint}pageInfo{hasNextPage endCursor}}fragment ListedCheckpoint on Checkpoint{id entries step aliases chainHash logUrl logBytes weightsStatus weightsUrl weightsBytes weightsFiles{name url}weightsError weightsWaitingReason}fragment Charted on ChartPoint{step loss projectedGradient learningRate seconds count}query FineTune($id:ID!){fineTune(id:$id){...Summary ...Results labelWords dataset{id name rows}validationDataset{id name rows}testDataset{id name rows}keepWeights calibrationPrompt from{id step fineTune{id name}}sweep{id name}hyperparameters{method tensors loraRank loraAlpha loraTargets prefixLength objective answerTokens truncate steps batchSize accumulate estimator estimates estimatesAtEnd learningRate schedule warmupSteps clipGradient epsilon weightDecay noise precision seed evaluateEvery bestMetric patience inContextRows linearProbe whenDiverged maxSeconds checkpointEvery}chart(points:2000){...Charted}}}",
);

export const chartPart = operation<ChartPartQuery, ChartPartQueryVariables>(
  "ChartPart",
  "fragment Charted on ChartPoint{step loss projectedGradient learningRate seconds count}query ChartPart($id:ID!$from:Int!$to:Int!){fineTune(id:$id){chart(points:2000 from:$from to:$to){...Charted}}}",
);

export const exactSteps = operation<ExactStepsQuery, ExactStepsQueryVariables>(
  "ExactSteps",
  "query ExactSteps($id:ID!$after:Int!$first:Int!){fineTune(id:$id){metrics(afterStep:$after first:$first){step loss projectedGradient learningRate seconds}}}",
);

export const results = operation<ResultsQuery, ResultsQueryVariables>(
  "Results",
  "fragment Results on FineTune{waitingReason logUrl log{entries bytes chainHash lastPairs(count:5){entry seed scalar}}evaluations(kind:null){kind step rows loss accuracy f1 exactMatch}bestEvaluation{step}memory{weightsBytes readings{kind step residentBytes peakBytes}}bestCheckpoint{...ListedCheckpoint}checkpoints(first:20){...CheckpointPage}}fragment CheckpointPage on CheckpointConnection{nodes{...ListedCheckpoint}pageInfo{hasNextPage endCursor}}fragment ListedCheckpoint on Checkpoint{id entries step aliases chainHash logUrl logBytes weightsStatus weightsUrl weightsBytes weightsFiles{name url}weightsError weightsWaitingReason}query Results($id:ID!){fineTune(id:$id){...Results}}",
);

export const continueFineTune = operation<ContinueFineTuneMutation, ContinueFineTuneMutationVariables>(
  "ContinueFineTune",
  "mutation ContinueFineTune($input:ContinueFineTuneInput!){continueFineTune(input:$input){fineTune{id}}}",
);

export const pauseFineTune = operation<PauseFineTuneMutation, PauseFineTuneMutationVariables>(
  "PauseFineTune",
  "fragment Summary on FineTune{id name tags archivedAt status cancelRequested pauseRequested baseModel{family name bytes}loss device pickedRate estimatedSecondsLeft progress{step steps fraction stepsPerSecond skippedSteps zeroSteps}error{code message issues{line field message}}createdAt startedAt finishedAt}mutation PauseFineTune($id:ID!){pauseFineTune(id:$id){...Summary}}",
);

export const resumeFineTune = operation<ResumeFineTuneMutation, ResumeFineTuneMutationVariables>(
  "ResumeFineTune",
  "fragment Summary on FineTune{id name tags archivedAt status cancelRequested pauseRequested baseModel{family name bytes}loss device pickedRate estimatedSecondsLeft progress{step steps fraction stepsPerSecond skippedSteps zeroSteps}error{code message issues{line field message}}createdAt startedAt finishedAt}mutation ResumeFineTune($id:ID!){resumeFineTune(id:$id){...Summary}}",
);

export const cancelFineTune = operation<CancelFineTuneMutation, CancelFineTuneMutationVariables>(
  "CancelFineTune",
  "fragment Summary on FineTune{id name tags archivedAt status cancelRequested pauseRequested baseModel{family name bytes}loss device pickedRate estimatedSecondsLeft progress{step steps fraction stepsPerSecond skippedSteps zeroSteps}error{code message issues{line field message}}createdAt startedAt finishedAt}mutation CancelFineTune($id:ID!){cancelFineTune(id:$id){...Summary}}",
);

export const materialiseCheckpoint = operation<MaterialiseCheckpointMutation, MaterialiseCheckpointMutationVariables>(
  "MaterialiseCheckpoint",
  "mutation MaterialiseCheckpoint($id:ID!$merged:Boolean$dtype:WeightsDtype){materialiseCheckpoint(id:$id merged:$merged dtype:$dtype){id weightsStatus}}",
);

export const checkpointForms = operation<CheckpointFormsQuery, CheckpointFormsQueryVariables>(
  "CheckpointForms",
  "query CheckpointForms($id:ID!){checkpoint(id:$id){exports{merged dtype status bytes files{name url}error waitingReason}}}",
);

export const status = operation<StatusSubscription, StatusSubscriptionVariables>(
  "Status",
  "fragment Summary on FineTune{id name tags archivedAt status cancelRequested pauseRequested baseModel{family name bytes}loss device pickedRate estimatedSecondsLeft progress{step steps fraction stepsPerSecond skippedSteps zeroSteps}error{code message issues{line field message}}createdAt startedAt finishedAt}subscription Status($id:ID!){fineTuneStatus(fineTuneId:$id){...Summary}}",
);

export const steps = operation<StepsSubscription, StepsSubscriptionVariables>(
  "Steps",
  "subscription Steps($id:ID!$after:Int!){steps(fineTuneId:$id after:$after){cursor step{step loss projectedGradient learningRate seconds}}}",
);

export const events = operation<EventsSubscription, EventsSubscriptionVariables>(
  "Events",
  "subscription Events($id:ID!$after:Int!){events(fineTuneId:$id after:$after){cursor event{sequence type message at}}}",
);

export const updateFineTune = operation<UpdateFineTuneMutation, UpdateFineTuneMutationVariables>(
  "UpdateFineTune",
  "fragment Summary on FineTune{id name tags archivedAt status cancelRequested pauseRequested baseModel{family name bytes}loss device pickedRate estimatedSecondsLeft progress{step steps fraction stepsPerSecond skippedSteps zeroSteps}error{code message issues{line field message}}createdAt startedAt finishedAt}mutation UpdateFineTune($id:ID!$input:UpdateFineTuneInput!){updateFineTune(id:$id input:$input){...Summary}}",
);

export const deleteRun = operation<DeleteRunMutation, DeleteRunMutationVariables>(
  "DeleteRun",
  "mutation DeleteRun($id:ID!$cancel:Boolean){deleteFineTune(id:$id cancel:$cancel)}",
);

export const deleteCheckpoint = operation<DeleteCheckpointMutation, DeleteCheckpointMutationVariables>(
  "DeleteCheckpoint",
  "mutation DeleteCheckpoint($id:ID!){deleteCheckpoint(id:$id)}",
);

export const setAlias = operation<SetAliasMutation, SetAliasMutationVariables>(
  "SetAlias",
  "mutation SetAlias($name:String!$model:ModelInput!){setAlias(name:$name model:$model){name}}",
);

export const rollBackAlias = operation<RollBackAliasMutation, RollBackAliasMutationVariables>(
  "RollBackAlias",
  "mutation RollBackAlias($name:String!){rollBackAlias(name:$name){name baseModel{name}checkpoint{step fineTune{name}}}}",
);

export const removeAlias = operation<RemoveAliasMutation, RemoveAliasMutationVariables>(
  "RemoveAlias",
  "mutation RemoveAlias($name:String!){removeAlias(name:$name)}",
);

export const evaluateCheckpoint = operation<EvaluateCheckpointMutation, EvaluateCheckpointMutationVariables>(
  "EvaluateCheckpoint",
  "mutation EvaluateCheckpoint($input:CreateEvaluationInput!){createEvaluation(input:$input){evaluation{id status checkpoint{fineTune{id}}}}}",
);

export const askedEvaluations = operation<AskedEvaluationsQuery, AskedEvaluationsQueryVariables>(
  "AskedEvaluations",
  "query AskedEvaluations($id:ID!){fineTune(id:$id){modelEvaluations(first:20){nodes{id status waitingReason rows loss accuracy f1 exactMatch error{code message}dataset{id name}checkpoint{id step}}}}}",
);

export const checkpointChoices = operation<CheckpointChoicesQuery, CheckpointChoicesQueryVariables>(
  "CheckpointChoices",
  "query CheckpointChoices($id:ID!){fineTune(id:$id){checkpoints(first:100){nodes{id step}pageInfo{hasNextPage}}}}",
);

export const answersBefore = operation<AnswersBeforeQuery, AnswersBeforeQueryVariables>(
  "AnswersBefore",
  "query AnswersBefore($id:ID!){fineTune(id:$id){modelEvaluations(first:50){nodes{...Asked checkpoint{id step}}}baseModel{evaluations(first:50){nodes{...Asked}}}}}fragment Asked on ModelEvaluation{id status labelWords answerTokens waitingReason dataset{id}error{code message}}",
);

export const answersAsked = operation<AnswersAskedQuery, AnswersAskedQueryVariables>(
  "AnswersAsked",
  "fragment Asked on ModelEvaluation{id status labelWords answerTokens waitingReason dataset{id}error{code message}}query AnswersAsked($before:ID!$after:ID!){before:modelEvaluation(id:$before){...Asked}after:modelEvaluation(id:$after){...Asked}}",
);

export const answered = operation<AnsweredQuery, AnsweredQueryVariables>(
  "Answered",
  "query Answered($before:ID!$after:ID!$from:Int!){before:modelEvaluation(id:$before){rows examples(first:100 after:$from){row answer right loss}}after:modelEvaluation(id:$after){examples(first:100 after:$from){row prompt expected answer right loss}}}",
);

export const askForAnswers = operation<AskForAnswersMutation, AskForAnswersMutationVariables>(
  "AskForAnswers",
  "mutation AskForAnswers($before:CreateEvaluationInput!$after:CreateEvaluationInput!){before:createEvaluation(input:$before){evaluation{id status}}after:createEvaluation(input:$after){evaluation{id status checkpoint{fineTune{id}}}}}",
);

