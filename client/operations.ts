// Made by `npm run generate:operations` from schema/api.graphql. Do not edit.
import { operation } from "./operation.ts";
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type * as Types from './schema-types.ts';

export type FineTuneStatusFragment = {
  readonly id: string,
  readonly name: string,
  readonly status: Types.FineTuneStatus,
  readonly cancelRequested: boolean,
  readonly pauseRequested: boolean,
  readonly device: string | null,
  readonly loss: number | null,
  readonly queuePosition: number | null,
  readonly estimatedSecondsLeft: number | null,
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

export type EvaluationFragment = {
  readonly kind: Types.EvaluationKind,
  readonly step: number,
  readonly rows: number,
  readonly loss: number | null,
  readonly accuracy: number | null,
  readonly f1: number | null,
  readonly exactMatch: number | null
};

export type CheckpointFragment = {
  readonly id: string,
  readonly entries: number,
  readonly step: number,
  readonly chainHash: string,
  readonly logUrl: string,
  readonly logBytes: number,
  readonly weightsDigest: string,
  readonly weightsStatus: Types.WeightsStatus,
  readonly weightsError: string | null,
  readonly weightsWaitingReason: string | null,
  readonly weightsUrl: string | null,
  readonly weightsBytes: number | null,
  readonly weightsFiles: ReadonlyArray<{
    readonly name: string,
    readonly bytes: number,
    readonly sha256: string,
    readonly url: string
  }>
};

export type CheckpointExportFragment = {
  readonly merged: boolean,
  readonly dtype: Types.WeightsDtype | null,
  readonly status: Types.WeightsStatus,
  readonly error: string | null,
  readonly waitingReason: string | null,
  readonly bytes: number | null,
  readonly files: ReadonlyArray<{
    readonly name: string,
    readonly bytes: number,
    readonly sha256: string,
    readonly url: string
  }>
};

export type FineTuneFragment = (
  {
  readonly waitingReason: string | null,
  readonly tags: ReadonlyArray<string>,
  readonly priority: number,
  readonly archivedAt: string | null,
  readonly createdAt: string,
  readonly startedAt: string | null,
  readonly finishedAt: string | null,
  readonly pickedRate: number | null,
  readonly logUrl: string | null,
  readonly metadata: ReadonlyArray<{
    readonly key: string,
    readonly value: string
  }>,
  readonly baseModel: {
    readonly name: string,
    readonly hash: string
  },
  readonly evaluations: ReadonlyArray<EvaluationFragment>,
  readonly inContext: ReadonlyArray<EvaluationFragment>,
  readonly probes: ReadonlyArray<EvaluationFragment>,
  readonly tests: ReadonlyArray<EvaluationFragment>,
  readonly bestEvaluation: EvaluationFragment | null,
  readonly checkpoints: {
    readonly nodes: ReadonlyArray<CheckpointFragment>
  }
}
  & FineTuneStatusFragment
);

export type FineTuneQueryVariables = Exact<{
  id: string;
}>;


export type FineTuneQuery = {
  readonly fineTune: FineTuneFragment | null
};

export type FineTunesQueryVariables = Exact<{
  filter?: Types.FineTuneFilter | null | undefined;
  sort?: Types.FineTuneSort | null | undefined;
  reverse?: boolean | null | undefined;
  first?: number | null | undefined;
  after?: string | null | undefined;
}>;


export type FineTunesQuery = {
  readonly fineTunes: {
    readonly totalCount: number,
    readonly nodes: ReadonlyArray<(
      {
      readonly tags: ReadonlyArray<string>,
      readonly createdAt: string,
      readonly finishedAt: string | null
    }
      & FineTuneStatusFragment
    )>,
    readonly pageInfo: {
      readonly hasNextPage: boolean,
      readonly endCursor: string | null
    }
  }
};

export type UpdateFineTuneMutationVariables = Exact<{
  id: string;
  input: Types.UpdateFineTuneInput;
}>;


export type UpdateFineTuneMutation = {
  readonly updateFineTune: FineTuneFragment
};

export type CheckpointQueryVariables = Exact<{
  id: string;
}>;


export type CheckpointQuery = {
  readonly checkpoint: CheckpointFragment | null
};

export type EstimateFineTuneQueryVariables = Exact<{
  input: Types.CreateFineTuneInput;
  waitSeconds?: number | null | undefined;
}>;


export type EstimateFineTuneQuery = {
  readonly estimateFineTune: {
    readonly notes: ReadonlyArray<string>,
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
      readonly logEntries: number,
      readonly logBytes: number,
      readonly checkpoints: number,
      readonly weightsBytes: number,
      readonly exact: boolean,
      readonly why: string | null,
      readonly training: RowTokensFragment,
      readonly validation: RowTokensFragment | null,
      readonly test: RowTokensFragment | null,
      readonly steps: {
        readonly passes: number,
        readonly tokens: number
      },
      readonly probes: {
        readonly passes: number,
        readonly tokens: number
      },
      readonly evaluations: ReadonlyArray<{
        readonly kind: Types.EvaluationKind,
        readonly times: number,
        readonly passes: number,
        readonly tokens: number
      }>
    } | null,
    readonly workers: ReadonlyArray<{
      readonly lacks: ReadonlyArray<string>,
      readonly unmeasured: string | null,
      readonly worker: {
        readonly name: string,
        readonly device: string,
        readonly memoryBytes: number
      },
      readonly seconds: {
        readonly total: number,
        readonly start: number,
        readonly steps: number,
        readonly evaluations: number
      } | null
    }>
  }
};

export type RowTokensFragment = {
  readonly rows: number,
  readonly tokens: number,
  readonly scored: number,
  readonly longest: number
};

export type CreateFineTuneMutationVariables = Exact<{
  input: Types.CreateFineTuneInput;
}>;


export type CreateFineTuneMutation = {
  readonly createFineTune: {
    readonly fineTune: FineTuneFragment
  }
};

export type ContinueFineTuneMutationVariables = Exact<{
  input: Types.ContinueFineTuneInput;
}>;


export type ContinueFineTuneMutation = {
  readonly continueFineTune: {
    readonly fineTune: FineTuneFragment
  }
};

export type CancelFineTuneMutationVariables = Exact<{
  id: string;
}>;


export type CancelFineTuneMutation = {
  readonly cancelFineTune: FineTuneFragment
};

export type PauseFineTuneMutationVariables = Exact<{
  id: string;
}>;


export type PauseFineTuneMutation = {
  readonly pauseFineTune: FineTuneFragment
};

export type ResumeFineTuneMutationVariables = Exact<{
  id: string;
}>;


export type ResumeFineTuneMutation = {
  readonly resumeFineTune: FineTuneFragment
};

export type MaterialiseCheckpointMutationVariables = Exact<{
  id: string;
}>;


export type MaterialiseCheckpointMutation = {
  readonly materialiseCheckpoint: CheckpointFragment
};

export type ExportCheckpointMutationVariables = Exact<{
  id: string;
  merged: boolean;
  dtype?: Types.WeightsDtype | null | undefined;
}>;


export type ExportCheckpointMutation = {
  readonly materialiseCheckpoint: {
    readonly exports: ReadonlyArray<CheckpointExportFragment>
  }
};

export type CheckpointExportsQueryVariables = Exact<{
  id: string;
}>;


export type CheckpointExportsQuery = {
  readonly checkpoint: {
    readonly exports: ReadonlyArray<CheckpointExportFragment>
  } | null
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
      readonly skipped: string | null,
      readonly seconds: number,
      readonly at: string
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

export type StatusSubscriptionVariables = Exact<{
  id: string;
}>;


export type StatusSubscription = {
  readonly fineTuneStatus: FineTuneStatusFragment
};

export type TokenLogProbabilityFragment = {
  readonly token: number,
  readonly text: string,
  readonly logProbability: number | null,
  readonly top: ReadonlyArray<{
    readonly token: number,
    readonly text: string,
    readonly logProbability: number | null
  }>
};

export type CompletionFragment = {
  readonly id: string,
  readonly status: Types.CompletionStatus,
  readonly stage: Types.CompletionStage | null,
  readonly alias: string | null,
  readonly label: string | null,
  readonly seed: number | null,
  readonly device: string | null,
  readonly waitingReason: string | null,
  readonly createdAt: string,
  readonly startedAt: string | null,
  readonly firstTokenAt: string | null,
  readonly finishedAt: string | null,
  readonly expiresAt: string,
  readonly baseModel: {
    readonly name: string
  },
  readonly checkpoint: {
    readonly id: string
  } | null,
  readonly choices: ReadonlyArray<{
    readonly index: number,
    readonly text: string,
    readonly tokens: ReadonlyArray<number>,
    readonly finishReason: Types.FinishReason | null,
    readonly logprobs: ReadonlyArray<TokenLogProbabilityFragment> | null
  }>,
  readonly labelScores: ReadonlyArray<{
    readonly label: string,
    readonly score: number | null,
    readonly tokens: number
  }> | null,
  readonly usage: {
    readonly promptTokens: number,
    readonly cachedTokens: number,
    readonly completionTokens: number
  } | null,
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

export type CompletionQueryVariables = Exact<{
  id: string;
}>;


export type CompletionQuery = {
  readonly completion: CompletionFragment | null
};

export type CreateCompletionMutationVariables = Exact<{
  input: Types.CreateCompletionInput;
}>;


export type CreateCompletionMutation = {
  readonly createCompletion: {
    readonly completion: CompletionFragment
  }
};

export type CancelCompletionMutationVariables = Exact<{
  id: string;
}>;


export type CancelCompletionMutation = {
  readonly cancelCompletion: CompletionFragment
};

export type DeleteCompletionMutationVariables = Exact<{
  id: string;
}>;


export type DeleteCompletionMutation = {
  readonly deleteCompletion: boolean
};

export type CompletionPiecesSubscriptionVariables = Exact<{
  id: string;
  after: number;
}>;


export type CompletionPiecesSubscription = {
  readonly completionPieces: {
    readonly cursor: number,
    readonly piece: {
      readonly choice: number,
      readonly text: string,
      readonly firstToken: number,
      readonly tokens: ReadonlyArray<number>,
      readonly finishReason: Types.FinishReason | null,
      readonly logprobs: ReadonlyArray<TokenLogProbabilityFragment> | null
    }
  }
};

export type ClassifyMutationVariables = Exact<{
  input: Types.ClassifyInput;
}>;


export type ClassifyMutation = {
  readonly classify: ReadonlyArray<{
    readonly label: string | null,
    readonly scores: ReadonlyArray<{
      readonly label: string,
      readonly score: number | null,
      readonly tokens: number
    }>
  }>
};

export type ScoreMutationVariables = Exact<{
  input: Types.ScoreInput;
}>;


export type ScoreMutation = {
  readonly score: ReadonlyArray<{
    readonly logProbability: number | null,
    readonly tokens: ReadonlyArray<TokenLogProbabilityFragment>
  }>
};

export type CheckpointOriginQueryVariables = Exact<{
  id: string;
}>;


export type CheckpointOriginQuery = {
  readonly checkpoint: (
    {
    readonly fineTune: {
      readonly name: string,
      readonly baseModel: {
        readonly name: string,
        readonly hash: string,
        readonly family: string
      },
      readonly evaluations: ReadonlyArray<EvaluationFragment>,
      readonly tests: ReadonlyArray<EvaluationFragment>
    }
  }
    & CheckpointFragment
  ) | null
};

export type AliasFragment = {
  readonly name: string,
  readonly moves: number,
  readonly updatedAt: string,
  readonly baseModel: {
    readonly name: string
  },
  readonly checkpoint: {
    readonly id: string,
    readonly step: number,
    readonly fineTune: {
      readonly id: string,
      readonly name: string
    }
  } | null
};

export type AliasesQueryVariables = Exact<{
  first?: number | null | undefined;
  after?: string | null | undefined;
}>;


export type AliasesQuery = {
  readonly aliases: ReadonlyArray<AliasFragment>
};

export type SetAliasMutationVariables = Exact<{
  name: string;
  model: Types.ModelInput;
}>;


export type SetAliasMutation = {
  readonly setAlias: AliasFragment
};

export type RollBackAliasMutationVariables = Exact<{
  name: string;
}>;


export type RollBackAliasMutation = {
  readonly rollBackAlias: AliasFragment
};

export type RemoveAliasMutationVariables = Exact<{
  name: string;
}>;


export type RemoveAliasMutation = {
  readonly removeAlias: boolean
};

export type ModelEvaluationFragment = {
  readonly id: string,
  readonly status: Types.ModelEvaluationStatus,
  readonly labelWords: ReadonlyArray<string>,
  readonly calibrationPrompt: string | null,
  readonly answerTokens: number,
  readonly truncate: Types.Truncation,
  readonly rows: number | null,
  readonly loss: number | null,
  readonly accuracy: number | null,
  readonly f1: number | null,
  readonly exactMatch: number | null,
  readonly waitingReason: string | null,
  readonly createdAt: string,
  readonly startedAt: string | null,
  readonly finishedAt: string | null,
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

export type ModelEvaluationQueryVariables = Exact<{
  id: string;
}>;


export type ModelEvaluationQuery = {
  readonly modelEvaluation: ModelEvaluationFragment | null
};

export type CreateEvaluationMutationVariables = Exact<{
  input: Types.CreateEvaluationInput;
}>;


export type CreateEvaluationMutation = {
  readonly createEvaluation: {
    readonly evaluation: ModelEvaluationFragment
  }
};

export type CancelEvaluationMutationVariables = Exact<{
  id: string;
}>;


export type CancelEvaluationMutation = {
  readonly cancelEvaluation: ModelEvaluationFragment
};

export const fineTune = operation<FineTuneQuery, FineTuneQueryVariables>(
  "FineTune",
  "fragment FineTuneStatus on FineTune{id name status cancelRequested pauseRequested device loss queuePosition estimatedSecondsLeft progress{step steps fraction stepsPerSecond etaSeconds skippedSteps zeroSteps}error{code message issues{line field message}}}fragment Evaluation on Evaluation{kind step rows loss accuracy f1 exactMatch}fragment Checkpoint on Checkpoint{id entries step chainHash logUrl logBytes weightsDigest weightsStatus weightsError weightsWaitingReason weightsUrl weightsBytes weightsFiles{name bytes sha256 url}}fragment FineTune on FineTune{...FineTuneStatus waitingReason tags metadata{key value}priority archivedAt createdAt startedAt finishedAt pickedRate logUrl baseModel{name hash}evaluations{...Evaluation}inContext:evaluations(kind:IN_CONTEXT){...Evaluation}probes:evaluations(kind:LINEAR_PROBE){...Evaluation}tests:evaluations(kind:TEST){...Evaluation}bestEvaluation{...Evaluation}checkpoints(first:100){nodes{...Checkpoint}}}query FineTune($id:ID!){fineTune(id:$id){...FineTune}}",
);

export const fineTunes = operation<FineTunesQuery, FineTunesQueryVariables>(
  "FineTunes",
  "fragment FineTuneStatus on FineTune{id name status cancelRequested pauseRequested device loss queuePosition estimatedSecondsLeft progress{step steps fraction stepsPerSecond etaSeconds skippedSteps zeroSteps}error{code message issues{line field message}}}query FineTunes($filter:FineTuneFilter$sort:FineTuneSort$reverse:Boolean$first:Int$after:String){fineTunes(filter:$filter sort:$sort reverse:$reverse first:$first after:$after){totalCount nodes{...FineTuneStatus tags createdAt finishedAt}pageInfo{hasNextPage endCursor}}}",
);

export const updateFineTune = operation<UpdateFineTuneMutation, UpdateFineTuneMutationVariables>(
  "UpdateFineTune",
  "fragment FineTuneStatus on FineTune{id name status cancelRequested pauseRequested device loss queuePosition estimatedSecondsLeft progress{step steps fraction stepsPerSecond etaSeconds skippedSteps zeroSteps}error{code message issues{line field message}}}fragment Evaluation on Evaluation{kind step rows loss accuracy f1 exactMatch}fragment Checkpoint on Checkpoint{id entries step chainHash logUrl logBytes weightsDigest weightsStatus weightsError weightsWaitingReason weightsUrl weightsBytes weightsFiles{name bytes sha256 url}}fragment FineTune on FineTune{...FineTuneStatus waitingReason tags metadata{key value}priority archivedAt createdAt startedAt finishedAt pickedRate logUrl baseModel{name hash}evaluations{...Evaluation}inContext:evaluations(kind:IN_CONTEXT){...Evaluation}probes:evaluations(kind:LINEAR_PROBE){...Evaluation}tests:evaluations(kind:TEST){...Evaluation}bestEvaluation{...Evaluation}checkpoints(first:100){nodes{...Checkpoint}}}mutation UpdateFineTune($id:ID!$input:UpdateFineTuneInput!){updateFineTune(id:$id input:$input){...FineTune}}",
);

export const checkpoint = operation<CheckpointQuery, CheckpointQueryVariables>(
  "Checkpoint",
  "fragment Checkpoint on Checkpoint{id entries step chainHash logUrl logBytes weightsDigest weightsStatus weightsError weightsWaitingReason weightsUrl weightsBytes weightsFiles{name bytes sha256 url}}query Checkpoint($id:ID!){checkpoint(id:$id){...Checkpoint}}",
);

export const estimateFineTune = operation<EstimateFineTuneQuery, EstimateFineTuneQueryVariables>(
  "EstimateFineTune",
  "query EstimateFineTune($input:CreateFineTuneInput!$waitSeconds:Int){estimateFineTune(input:$input waitSeconds:$waitSeconds){errors{code message argument issues{line field message}}notes counts{training{...RowTokens}validation{...RowTokens}test{...RowTokens}steps{passes tokens}probes{passes tokens}evaluations{kind times passes tokens}logEntries logBytes checkpoints weightsBytes exact why}uncounted memoryBytes storedWeightsBytes workers{worker{name device memoryBytes}lacks seconds{total start steps evaluations}unmeasured}}}fragment RowTokens on RowTokenCounts{rows tokens scored longest}",
);

export const createFineTune = operation<CreateFineTuneMutation, CreateFineTuneMutationVariables>(
  "CreateFineTune",
  "fragment FineTuneStatus on FineTune{id name status cancelRequested pauseRequested device loss queuePosition estimatedSecondsLeft progress{step steps fraction stepsPerSecond etaSeconds skippedSteps zeroSteps}error{code message issues{line field message}}}fragment Evaluation on Evaluation{kind step rows loss accuracy f1 exactMatch}fragment Checkpoint on Checkpoint{id entries step chainHash logUrl logBytes weightsDigest weightsStatus weightsError weightsWaitingReason weightsUrl weightsBytes weightsFiles{name bytes sha256 url}}fragment FineTune on FineTune{...FineTuneStatus waitingReason tags metadata{key value}priority archivedAt createdAt startedAt finishedAt pickedRate logUrl baseModel{name hash}evaluations{...Evaluation}inContext:evaluations(kind:IN_CONTEXT){...Evaluation}probes:evaluations(kind:LINEAR_PROBE){...Evaluation}tests:evaluations(kind:TEST){...Evaluation}bestEvaluation{...Evaluation}checkpoints(first:100){nodes{...Checkpoint}}}mutation CreateFineTune($input:CreateFineTuneInput!){createFineTune(input:$input){fineTune{...FineTune}}}",
);

export const continueFineTune = operation<ContinueFineTuneMutation, ContinueFineTuneMutationVariables>(
  "ContinueFineTune",
  "fragment FineTuneStatus on FineTune{id name status cancelRequested pauseRequested device loss queuePosition estimatedSecondsLeft progress{step steps fraction stepsPerSecond etaSeconds skippedSteps zeroSteps}error{code message issues{line field message}}}fragment Evaluation on Evaluation{kind step rows loss accuracy f1 exactMatch}fragment Checkpoint on Checkpoint{id entries step chainHash logUrl logBytes weightsDigest weightsStatus weightsError weightsWaitingReason weightsUrl weightsBytes weightsFiles{name bytes sha256 url}}fragment FineTune on FineTune{...FineTuneStatus waitingReason tags metadata{key value}priority archivedAt createdAt startedAt finishedAt pickedRate logUrl baseModel{name hash}evaluations{...Evaluation}inContext:evaluations(kind:IN_CONTEXT){...Evaluation}probes:evaluations(kind:LINEAR_PROBE){...Evaluation}tests:evaluations(kind:TEST){...Evaluation}bestEvaluation{...Evaluation}checkpoints(first:100){nodes{...Checkpoint}}}mutation ContinueFineTune($input:ContinueFineTuneInput!){continueFineTune(input:$input){fineTune{...FineTune}}}",
);

export const cancelFineTune = operation<CancelFineTuneMutation, CancelFineTuneMutationVariables>(
  "CancelFineTune",
  "fragment FineTuneStatus on FineTune{id name status cancelRequested pauseRequested device loss queuePosition estimatedSecondsLeft progress{step steps fraction stepsPerSecond etaSeconds skippedSteps zeroSteps}error{code message issues{line field message}}}fragment Evaluation on Evaluation{kind step rows loss accuracy f1 exactMatch}fragment Checkpoint on Checkpoint{id entries step chainHash logUrl logBytes weightsDigest weightsStatus weightsError weightsWaitingReason weightsUrl weightsBytes weightsFiles{name bytes sha256 url}}fragment FineTune on FineTune{...FineTuneStatus waitingReason tags metadata{key value}priority archivedAt createdAt startedAt finishedAt pickedRate logUrl baseModel{name hash}evaluations{...Evaluation}inContext:evaluations(kind:IN_CONTEXT){...Evaluation}probes:evaluations(kind:LINEAR_PROBE){...Evaluation}tests:evaluations(kind:TEST){...Evaluation}bestEvaluation{...Evaluation}checkpoints(first:100){nodes{...Checkpoint}}}mutation CancelFineTune($id:ID!){cancelFineTune(id:$id){...FineTune}}",
);

export const pauseFineTune = operation<PauseFineTuneMutation, PauseFineTuneMutationVariables>(
  "PauseFineTune",
  "fragment FineTuneStatus on FineTune{id name status cancelRequested pauseRequested device loss queuePosition estimatedSecondsLeft progress{step steps fraction stepsPerSecond etaSeconds skippedSteps zeroSteps}error{code message issues{line field message}}}fragment Evaluation on Evaluation{kind step rows loss accuracy f1 exactMatch}fragment Checkpoint on Checkpoint{id entries step chainHash logUrl logBytes weightsDigest weightsStatus weightsError weightsWaitingReason weightsUrl weightsBytes weightsFiles{name bytes sha256 url}}fragment FineTune on FineTune{...FineTuneStatus waitingReason tags metadata{key value}priority archivedAt createdAt startedAt finishedAt pickedRate logUrl baseModel{name hash}evaluations{...Evaluation}inContext:evaluations(kind:IN_CONTEXT){...Evaluation}probes:evaluations(kind:LINEAR_PROBE){...Evaluation}tests:evaluations(kind:TEST){...Evaluation}bestEvaluation{...Evaluation}checkpoints(first:100){nodes{...Checkpoint}}}mutation PauseFineTune($id:ID!){pauseFineTune(id:$id){...FineTune}}",
);

export const resumeFineTune = operation<ResumeFineTuneMutation, ResumeFineTuneMutationVariables>(
  "ResumeFineTune",
  "fragment FineTuneStatus on FineTune{id name status cancelRequested pauseRequested device loss queuePosition estimatedSecondsLeft progress{step steps fraction stepsPerSecond etaSeconds skippedSteps zeroSteps}error{code message issues{line field message}}}fragment Evaluation on Evaluation{kind step rows loss accuracy f1 exactMatch}fragment Checkpoint on Checkpoint{id entries step chainHash logUrl logBytes weightsDigest weightsStatus weightsError weightsWaitingReason weightsUrl weightsBytes weightsFiles{name bytes sha256 url}}fragment FineTune on FineTune{...FineTuneStatus waitingReason tags metadata{key value}priority archivedAt createdAt startedAt finishedAt pickedRate logUrl baseModel{name hash}evaluations{...Evaluation}inContext:evaluations(kind:IN_CONTEXT){...Evaluation}probes:evaluations(kind:LINEAR_PROBE){...Evaluation}tests:evaluations(kind:TEST){...Evaluation}bestEvaluation{...Evaluation}checkpoints(first:100){nodes{...Checkpoint}}}mutation ResumeFineTune($id:ID!){resumeFineTune(id:$id){...FineTune}}",
);

export const materialiseCheckpoint = operation<MaterialiseCheckpointMutation, MaterialiseCheckpointMutationVariables>(
  "MaterialiseCheckpoint",
  "fragment Checkpoint on Checkpoint{id entries step chainHash logUrl logBytes weightsDigest weightsStatus weightsError weightsWaitingReason weightsUrl weightsBytes weightsFiles{name bytes sha256 url}}mutation MaterialiseCheckpoint($id:ID!){materialiseCheckpoint(id:$id){...Checkpoint}}",
);

export const exportCheckpoint = operation<ExportCheckpointMutation, ExportCheckpointMutationVariables>(
  "ExportCheckpoint",
  "fragment CheckpointExport on CheckpointExport{merged dtype status error waitingReason bytes files{name bytes sha256 url}}mutation ExportCheckpoint($id:ID!$merged:Boolean!$dtype:WeightsDtype){materialiseCheckpoint(id:$id merged:$merged dtype:$dtype){exports{...CheckpointExport}}}",
);

export const checkpointExports = operation<CheckpointExportsQuery, CheckpointExportsQueryVariables>(
  "CheckpointExports",
  "fragment CheckpointExport on CheckpointExport{merged dtype status error waitingReason bytes files{name bytes sha256 url}}query CheckpointExports($id:ID!){checkpoint(id:$id){exports{...CheckpointExport}}}",
);

export const steps = operation<StepsSubscription, StepsSubscriptionVariables>(
  "Steps",
  "subscription Steps($id:ID!$after:Int!){steps(fineTuneId:$id after:$after){cursor step{step loss projectedGradient learningRate skipped seconds at}}}",
);

export const events = operation<EventsSubscription, EventsSubscriptionVariables>(
  "Events",
  "subscription Events($id:ID!$after:Int!){events(fineTuneId:$id after:$after){cursor event{sequence type message at}}}",
);

export const status = operation<StatusSubscription, StatusSubscriptionVariables>(
  "Status",
  "fragment FineTuneStatus on FineTune{id name status cancelRequested pauseRequested device loss queuePosition estimatedSecondsLeft progress{step steps fraction stepsPerSecond etaSeconds skippedSteps zeroSteps}error{code message issues{line field message}}}subscription Status($id:ID!){fineTuneStatus(fineTuneId:$id){...FineTuneStatus}}",
);

export const completion = operation<CompletionQuery, CompletionQueryVariables>(
  "Completion",
  "fragment TokenLogProbability on TokenLogProbability{token text logProbability top{token text logProbability}}fragment Completion on Completion{id status stage alias baseModel{name}checkpoint{id}choices{index text tokens finishReason logprobs{...TokenLogProbability}}label labelScores{label score tokens}usage{promptTokens cachedTokens completionTokens}seed device error{code message issues{line field message}}waitingReason createdAt startedAt firstTokenAt finishedAt expiresAt}query Completion($id:ID!){completion(id:$id){...Completion}}",
);

export const createCompletion = operation<CreateCompletionMutation, CreateCompletionMutationVariables>(
  "CreateCompletion",
  "fragment TokenLogProbability on TokenLogProbability{token text logProbability top{token text logProbability}}fragment Completion on Completion{id status stage alias baseModel{name}checkpoint{id}choices{index text tokens finishReason logprobs{...TokenLogProbability}}label labelScores{label score tokens}usage{promptTokens cachedTokens completionTokens}seed device error{code message issues{line field message}}waitingReason createdAt startedAt firstTokenAt finishedAt expiresAt}mutation CreateCompletion($input:CreateCompletionInput!){createCompletion(input:$input){completion{...Completion}}}",
);

export const cancelCompletion = operation<CancelCompletionMutation, CancelCompletionMutationVariables>(
  "CancelCompletion",
  "fragment TokenLogProbability on TokenLogProbability{token text logProbability top{token text logProbability}}fragment Completion on Completion{id status stage alias baseModel{name}checkpoint{id}choices{index text tokens finishReason logprobs{...TokenLogProbability}}label labelScores{label score tokens}usage{promptTokens cachedTokens completionTokens}seed device error{code message issues{line field message}}waitingReason createdAt startedAt firstTokenAt finishedAt expiresAt}mutation CancelCompletion($id:ID!){cancelCompletion(id:$id){...Completion}}",
);

export const deleteCompletion = operation<DeleteCompletionMutation, DeleteCompletionMutationVariables>(
  "DeleteCompletion",
  "mutation DeleteCompletion($id:ID!){deleteCompletion(id:$id)}",
);

export const completionPieces = operation<CompletionPiecesSubscription, CompletionPiecesSubscriptionVariables>(
  "CompletionPieces",
  "fragment TokenLogProbability on TokenLogProbability{token text logProbability top{token text logProbability}}subscription CompletionPieces($id:ID!$after:Int!){completionPieces(id:$id after:$after){cursor piece{choice text firstToken tokens finishReason logprobs{...TokenLogProbability}}}}",
);

export const classify = operation<ClassifyMutation, ClassifyMutationVariables>(
  "Classify",
  "mutation Classify($input:ClassifyInput!){classify(input:$input){label scores{label score tokens}}}",
);

export const score = operation<ScoreMutation, ScoreMutationVariables>(
  "Score",
  "fragment TokenLogProbability on TokenLogProbability{token text logProbability top{token text logProbability}}mutation Score($input:ScoreInput!){score(input:$input){logProbability tokens{...TokenLogProbability}}}",
);

export const checkpointOrigin = operation<CheckpointOriginQuery, CheckpointOriginQueryVariables>(
  "CheckpointOrigin",
  "fragment Evaluation on Evaluation{kind step rows loss accuracy f1 exactMatch}fragment Checkpoint on Checkpoint{id entries step chainHash logUrl logBytes weightsDigest weightsStatus weightsError weightsWaitingReason weightsUrl weightsBytes weightsFiles{name bytes sha256 url}}query CheckpointOrigin($id:ID!){checkpoint(id:$id){...Checkpoint fineTune{name baseModel{name hash family}evaluations{...Evaluation}tests:evaluations(kind:TEST){...Evaluation}}}}",
);

export const aliases = operation<AliasesQuery, AliasesQueryVariables>(
  "Aliases",
  "fragment Alias on Alias{name baseModel{name}checkpoint{id step fineTune{id name}}moves updatedAt}query Aliases($first:Int$after:String){aliases(first:$first after:$after){...Alias}}",
);

export const setAlias = operation<SetAliasMutation, SetAliasMutationVariables>(
  "SetAlias",
  "fragment Alias on Alias{name baseModel{name}checkpoint{id step fineTune{id name}}moves updatedAt}mutation SetAlias($name:String!$model:ModelInput!){setAlias(name:$name model:$model){...Alias}}",
);

export const rollBackAlias = operation<RollBackAliasMutation, RollBackAliasMutationVariables>(
  "RollBackAlias",
  "fragment Alias on Alias{name baseModel{name}checkpoint{id step fineTune{id name}}moves updatedAt}mutation RollBackAlias($name:String!){rollBackAlias(name:$name){...Alias}}",
);

export const removeAlias = operation<RemoveAliasMutation, RemoveAliasMutationVariables>(
  "RemoveAlias",
  "mutation RemoveAlias($name:String!){removeAlias(name:$name)}",
);

export const modelEvaluation = operation<ModelEvaluationQuery, ModelEvaluationQueryVariables>(
  "ModelEvaluation",
  "fragment ModelEvaluation on ModelEvaluation{id status baseModel{name}checkpoint{id step}dataset{id name}labelWords calibrationPrompt answerTokens truncate rows loss accuracy f1 exactMatch error{code message issues{line field message}}waitingReason createdAt startedAt finishedAt}query ModelEvaluation($id:ID!){modelEvaluation(id:$id){...ModelEvaluation}}",
);

export const createEvaluation = operation<CreateEvaluationMutation, CreateEvaluationMutationVariables>(
  "CreateEvaluation",
  "fragment ModelEvaluation on ModelEvaluation{id status baseModel{name}checkpoint{id step}dataset{id name}labelWords calibrationPrompt answerTokens truncate rows loss accuracy f1 exactMatch error{code message issues{line field message}}waitingReason createdAt startedAt finishedAt}mutation CreateEvaluation($input:CreateEvaluationInput!){createEvaluation(input:$input){evaluation{...ModelEvaluation}}}",
);

export const cancelEvaluation = operation<CancelEvaluationMutation, CancelEvaluationMutationVariables>(
  "CancelEvaluation",
  "fragment ModelEvaluation on ModelEvaluation{id status baseModel{name}checkpoint{id step}dataset{id name}labelWords calibrationPrompt answerTokens truncate rows loss accuracy f1 exactMatch error{code message issues{line field message}}waitingReason createdAt startedAt finishedAt}mutation CancelEvaluation($id:ID!){cancelEvaluation(id:$id){...ModelEvaluation}}",
);

