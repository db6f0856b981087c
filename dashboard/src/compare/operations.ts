// Made by `npm run generate:operations` from schema/api.graphql. Do not edit.
import { operation } from "../../../client/operation.ts";
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type * as Types from '../../../client/schema-types.ts';

export type ComparedRunFragment = {
  readonly id: string,
  readonly name: string,
  readonly status: Types.FineTuneStatus,
  readonly cancelRequested: boolean,
  readonly pauseRequested: boolean,
  readonly labelWords: ReadonlyArray<string>,
  readonly pickedRate: number | null,
  readonly createdAt: string,
  readonly baseModel: {
    readonly name: string
  },
  readonly dataset: {
    readonly name: string
  },
  readonly validationDataset: {
    readonly name: string
  } | null,
  readonly testDataset: {
    readonly name: string
  } | null,
  readonly from: {
    readonly step: number,
    readonly fineTune: {
      readonly name: string
    }
  } | null,
  readonly progress: {
    readonly step: number,
    readonly steps: number,
    readonly fraction: number,
    readonly trainedSeconds: number
  },
  readonly bestEvaluation: {
    readonly step: number
  } | null,
  readonly evaluations: ReadonlyArray<{
    readonly kind: Types.EvaluationKind,
    readonly step: number,
    readonly loss: number | null,
    readonly accuracy: number | null,
    readonly f1: number | null,
    readonly exactMatch: number | null
  }>,
  readonly checkpoints: {
    readonly nodes: ReadonlyArray<{
      readonly logBytes: number
    }>
  },
  readonly chart: ReadonlyArray<{
    readonly step: number,
    readonly loss: number | null,
    readonly count: number,
    readonly seconds: number
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
};

export type CompareRunsQueryVariables = Exact<{
  ids: ReadonlyArray<string>;
  points: number;
}>;


export type CompareRunsQuery = {
  readonly nodes: ReadonlyArray<
    | ComparedRunFragment
    | Record<PropertyKey, never>
   | null>
};

export type FindRunsQueryVariables = Exact<{
  name: string;
}>;


export type FindRunsQuery = {
  readonly fineTunes: {
    readonly nodes: ReadonlyArray<{
      readonly id: string,
      readonly name: string,
      readonly status: Types.FineTuneStatus,
      readonly cancelRequested: boolean,
      readonly pauseRequested: boolean,
      readonly createdAt: string
    }>
  }
};

export const compareRuns = operation<CompareRunsQuery, CompareRunsQueryVariables>(
  "CompareRuns",
  "fragment ComparedRun on FineTune{id name status cancelRequested pauseRequested labelWords pickedRate createdAt baseModel{name}dataset{name}validationDataset{name}testDataset{name}from{step fineTune{name}}progress{step steps fraction trainedSeconds}bestEvaluation{step}evaluations(kind:null){kind step loss accuracy f1 exactMatch}checkpoints(first:1){nodes{logBytes}}chart(points:$points){step loss count seconds}hyperparameters{method tensors loraRank loraAlpha loraTargets prefixLength objective answerTokens truncate steps batchSize accumulate estimator estimates estimatesAtEnd learningRate schedule warmupSteps clipGradient epsilon weightDecay noise precision seed evaluateEvery bestMetric patience inContextRows linearProbe whenDiverged maxSeconds checkpointEvery}}query CompareRuns($ids:[ID!]!$points:Int!){nodes(ids:$ids){...on FineTune{...ComparedRun}}}",
);

export const findRuns = operation<FindRunsQuery, FindRunsQueryVariables>(
  "FindRuns",
  "query FindRuns($name:String!){fineTunes(first:16 filter:{name:$name archived:null}){nodes{id name status cancelRequested pauseRequested createdAt}}}",
);

