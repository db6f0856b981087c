// Made by `npm run generate:operations` from schema/api.graphql. Do not edit.
import { operation } from "../../../client/operation.ts";
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type * as Types from '../../../client/schema-types.ts';

export type ModelsQueryVariables = Exact<{ [key: string]: never; }>;


export type ModelsQuery = {
  readonly baseModels: {
    readonly nodes: ReadonlyArray<{
      readonly id: string,
      readonly name: string,
      readonly family: string,
      readonly dtype: string,
      readonly parameters: number,
      readonly bytes: number,
      readonly contextLength: number,
      readonly createdAt: string,
      readonly uses: {
        readonly fineTunes: number,
        readonly evaluations: number,
        readonly unfinished: number
      },
      readonly workers: ReadonlyArray<{
        readonly name: string
      }>
    }>
  },
  readonly modelDownloads: ReadonlyArray<{
    readonly name: string,
    readonly repository: string,
    readonly revision: string,
    readonly status: Types.ModelDownloadStatus,
    readonly cancelRequested: boolean,
    readonly stage: string | null,
    readonly doneBytes: number | null,
    readonly totalBytes: number | null,
    readonly filesDone: number | null,
    readonly filesTotal: number | null,
    readonly file: {
      readonly name: string,
      readonly doneBytes: number,
      readonly totalBytes: number
    } | null,
    readonly error: {
      readonly code: Types.ErrorCode,
      readonly message: string
    } | null
  }>,
  readonly foundModels: ReadonlyArray<{
    readonly name: string,
    readonly family: string | null,
    readonly dtype: string | null,
    readonly parameters: number | null,
    readonly bytes: number | null,
    readonly registering: boolean,
    readonly problem: string | null
  }>
};

export type OneModelQueryVariables = Exact<{
  name: string;
}>;


export type OneModelQuery = {
  readonly baseModel: {
    readonly id: string,
    readonly name: string,
    readonly family: string,
    readonly dtype: string,
    readonly parameters: number,
    readonly bytes: number,
    readonly contextLength: number,
    readonly hash: string,
    readonly chatTemplate: boolean | null,
    readonly createdAt: string,
    readonly uses: {
      readonly fineTunes: number,
      readonly evaluations: number,
      readonly unfinished: number
    },
    readonly workers: ReadonlyArray<{
      readonly name: string,
      readonly device: string,
      readonly asleep: boolean
    }>,
    readonly evaluations: {
      readonly nodes: ReadonlyArray<{
        readonly id: string,
        readonly status: Types.ModelEvaluationStatus,
        readonly rows: number | null,
        readonly loss: number | null,
        readonly accuracy: number | null,
        readonly createdAt: string,
        readonly dataset: {
          readonly id: string,
          readonly name: string
        }
      }>
    }
  } | null,
  readonly fineTunes: {
    readonly totalCount: number,
    readonly nodes: ReadonlyArray<{
      readonly id: string,
      readonly name: string,
      readonly status: Types.FineTuneStatus,
      readonly cancelRequested: boolean,
      readonly pauseRequested: boolean,
      readonly createdAt: string,
      readonly bestEvaluation: {
        readonly loss: number | null,
        readonly accuracy: number | null,
        readonly f1: number | null,
        readonly exactMatch: number | null
      } | null,
      readonly hyperparameters: {
        readonly bestMetric: Types.BestMetric
      }
    }>
  }
};

export type AddBaseModelMutationVariables = Exact<{
  input: Types.AddBaseModelInput;
}>;


export type AddBaseModelMutation = {
  readonly addBaseModel: {
    readonly name: string
  }
};

export type CancelModelDownloadMutationVariables = Exact<{
  name: string;
}>;


export type CancelModelDownloadMutation = {
  readonly cancelModelDownload: {
    readonly name: string
  } | null
};

export type RegisterFoundModelMutationVariables = Exact<{
  name: string;
}>;


export type RegisterFoundModelMutation = {
  readonly registerBaseModel: {
    readonly baseModel: {
      readonly name: string
    } | null
  }
};

export type DeleteBaseModelMutationVariables = Exact<{
  id: string;
}>;


export type DeleteBaseModelMutation = {
  readonly deleteBaseModel: boolean
};

export const models = operation<ModelsQuery, ModelsQueryVariables>(
  "Models",
  "query Models{baseModels(first:100){nodes{id name family dtype parameters bytes contextLength createdAt uses{fineTunes evaluations unfinished}workers{name}}}modelDownloads{name repository revision status cancelRequested stage doneBytes totalBytes file{name doneBytes totalBytes}filesDone filesTotal error{code message}}foundModels{name family dtype parameters bytes registering problem}}",
);

export const oneModel = operation<OneModelQuery, OneModelQueryVariables>(
  "OneModel",
  "query OneModel($name:String!){baseModel(name:$name){id name family dtype parameters bytes contextLength hash chatTemplate createdAt uses{fineTunes evaluations unfinished}workers{name device asleep}evaluations(first:10){nodes{id status rows loss accuracy createdAt dataset{id name}}}}fineTunes(first:10 filter:{baseModel:$name archived:null}){totalCount nodes{id name status cancelRequested pauseRequested createdAt bestEvaluation{loss accuracy f1 exactMatch}hyperparameters{bestMetric}}}}",
);

export const addBaseModel = operation<AddBaseModelMutation, AddBaseModelMutationVariables>(
  "AddBaseModel",
  "mutation AddBaseModel($input:AddBaseModelInput!){addBaseModel(input:$input){name}}",
);

export const cancelModelDownload = operation<CancelModelDownloadMutation, CancelModelDownloadMutationVariables>(
  "CancelModelDownload",
  "mutation CancelModelDownload($name:String!){cancelModelDownload(name:$name){name}}",
);

export const registerFoundModel = operation<RegisterFoundModelMutation, RegisterFoundModelMutationVariables>(
  "RegisterFoundModel",
  "mutation RegisterFoundModel($name:String!){registerBaseModel(name:$name){baseModel{name}}}",
);

export const deleteBaseModel = operation<DeleteBaseModelMutation, DeleteBaseModelMutationVariables>(
  "DeleteBaseModel",
  "mutation DeleteBaseModel($id:ID!){deleteBaseModel(id:$id)}",
);

