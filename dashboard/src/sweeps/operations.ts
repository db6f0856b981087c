// Made by `npm run generate:operations` from schema/api.graphql. Do not edit.
import { operation } from "../../../client/operation.ts";
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type * as Types from '../../../client/schema-types.ts';

export type SweepsQueryVariables = Exact<{
  after?: string | null | undefined;
}>;


export type SweepsQuery = {
  readonly sweeps: {
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
        readonly hyperparameters: {
          readonly bestMetric: Types.BestMetric
        },
        readonly bestEvaluation: JudgedFragment | null
      } | null
    }>,
    readonly pageInfo: {
      readonly hasNextPage: boolean,
      readonly endCursor: string | null
    }
  }
};

export type JudgedFragment = {
  readonly step: number,
  readonly loss: number | null,
  readonly accuracy: number | null,
  readonly f1: number | null,
  readonly exactMatch: number | null
};

export type SweptRunFragment = {
  readonly id: string,
  readonly name: string,
  readonly status: Types.FineTuneStatus,
  readonly cancelRequested: boolean,
  readonly pauseRequested: boolean,
  readonly loss: number | null,
  readonly progress: {
    readonly step: number,
    readonly steps: number,
    readonly fraction: number
  },
  readonly bestEvaluation: JudgedFragment | null,
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
};

export type SweepQueryVariables = Exact<{
  id: string;
}>;


export type SweepQuery = {
  readonly sweep: {
    readonly id: string,
    readonly name: string,
    readonly varied: ReadonlyArray<string>,
    readonly passes: number,
    readonly createdAt: string,
    readonly runs: ReadonlyArray<SweptRunFragment>
  } | null
};

export type EstimateSweepQueryVariables = Exact<{
  input: Types.CreateSweepInput;
}>;


export type EstimateSweepQuery = {
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

export type CreateSweepMutationVariables = Exact<{
  input: Types.CreateSweepInput;
}>;


export type CreateSweepMutation = {
  readonly createSweep: {
    readonly sweep: {
      readonly id: string
    }
  }
};

export type CancelSweepMutationVariables = Exact<{
  id: string;
}>;


export type CancelSweepMutation = {
  readonly cancelSweep: {
    readonly id: string,
    readonly statuses: ReadonlyArray<{
      readonly status: Types.FineTuneStatus,
      readonly count: number
    }>
  }
};

export type DeleteSweepMutationVariables = Exact<{
  id: string;
  runs?: boolean | null | undefined;
}>;


export type DeleteSweepMutation = {
  readonly deleteSweep: boolean
};

export const sweeps = operation<SweepsQuery, SweepsQueryVariables>(
  "Sweeps",
  "query Sweeps($after:String){sweeps(first:50 after:$after){nodes{id name varied createdAt statuses{status count}best{id name hyperparameters{bestMetric}bestEvaluation{...Judged}}}pageInfo{hasNextPage endCursor}}}fragment Judged on Evaluation{step loss accuracy f1 exactMatch}",
);

export const sweep = operation<SweepQuery, SweepQueryVariables>(
  "Sweep",
  "fragment Judged on Evaluation{step loss accuracy f1 exactMatch}fragment SweptRun on FineTune{id name status cancelRequested pauseRequested loss progress{step steps fraction}bestEvaluation{...Judged}hyperparameters{method tensors loraRank loraAlpha loraTargets prefixLength objective answerTokens truncate steps batchSize accumulate estimator estimates estimatesAtEnd learningRate schedule warmupSteps clipGradient epsilon weightDecay noise precision seed evaluateEvery bestMetric patience inContextRows linearProbe whenDiverged maxSeconds checkpointEvery}}query Sweep($id:ID!){sweep(id:$id){id name varied passes createdAt runs{...SweptRun}}}",
);

export const estimateSweep = operation<EstimateSweepQuery, EstimateSweepQueryVariables>(
  "EstimateSweep",
  "query EstimateSweep($input:CreateSweepInput!){estimateSweep(input:$input){runs steps passes errors{code message argument issues{line field message}}}}",
);

export const createSweep = operation<CreateSweepMutation, CreateSweepMutationVariables>(
  "CreateSweep",
  "mutation CreateSweep($input:CreateSweepInput!){createSweep(input:$input){sweep{id}}}",
);

export const cancelSweep = operation<CancelSweepMutation, CancelSweepMutationVariables>(
  "CancelSweep",
  "mutation CancelSweep($id:ID!){cancelSweep(id:$id){id statuses{status count}}}",
);

export const deleteSweep = operation<DeleteSweepMutation, DeleteSweepMutationVariables>(
  "DeleteSweep",
  "mutation DeleteSweep($id:ID!$runs:Boolean){deleteSweep(id:$id runs:$runs cancel:true)}",
);

