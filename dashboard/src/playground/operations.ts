// Made by `npm run generate:operations` from schema/api.graphql. Do not edit.
import { operation } from "../../../client/operation.ts";
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
export type PlayBaseFragment = {
  readonly id: string,
  readonly name: string,
  readonly family: string,
  readonly contextLength: number
};

export type PlayRunFragment = {
  readonly id: string,
  readonly name: string,
  readonly labelWords: ReadonlyArray<string>,
  readonly calibrationPrompt: string | null,
  readonly bestEvaluation: {
    readonly step: number
  } | null,
  readonly baseModel: PlayBaseFragment
};

export type PlayCheckpointFragment = {
  readonly id: string,
  readonly step: number,
  readonly fineTune?: PlayRunFragment
};

export type PlayNamesQueryVariables = Exact<{
  reads: boolean;
}>;


export type PlayNamesQuery = {
  readonly baseModels: {
    readonly nodes: ReadonlyArray<PlayBaseFragment>
  },
  readonly aliases: ReadonlyArray<{
    readonly name: string,
    readonly baseModel: PlayBaseFragment,
    readonly checkpoint: PlayCheckpointFragment | null
  }>
};

export type PlayModelQueryVariables = Exact<{
  id: string;
  reads: boolean;
}>;


export type PlayModelQuery = {
  readonly node:
    | {
      readonly kind: 'ApiKey'
    }
    | (
      {
      readonly kind: 'BaseModel'
    }
      & PlayBaseFragment
    )
    | (
      {
      readonly kind: 'Checkpoint'
    }
      & PlayCheckpointFragment
    )
    | {
      readonly kind: 'Completion'
    }
    | {
      readonly kind: 'Dataset'
    }
    | (
      {
      readonly kind: 'FineTune'
    }
      & PlayRunFragment
    )
    | {
      readonly kind: 'ModelEvaluation'
    }
    | {
      readonly kind: 'Project'
    }
    | {
      readonly kind: 'Sweep'
    }
    | {
      readonly kind: 'Webhook'
    }
    | {
      readonly kind: 'WebhookDelivery'
    }
   | null
};

export type PlayRunsQueryVariables = Exact<{
  name: string;
}>;


export type PlayRunsQuery = {
  readonly fineTunes: {
    readonly nodes: ReadonlyArray<{
      readonly id: string,
      readonly name: string,
      readonly baseModel: {
        readonly name: string
      },
      readonly bestEvaluation: {
        readonly step: number,
        readonly accuracy: number | null,
        readonly loss: number | null
      } | null,
      readonly checkpoints: {
        readonly nodes: ReadonlyArray<{
          readonly id: string,
          readonly step: number
        }>
      }
    }>
  }
};

export type PlayChatQueryVariables = Exact<{
  baseModel: string;
  jsonl: string;
}>;


export type PlayChatQuery = {
  readonly previewRows: {
    readonly counted: number
  }
};

export type PlaySettingsQueryVariables = Exact<{ [key: string]: never; }>;


export type PlaySettingsQuery = {
  readonly input: {
    readonly inputFields: ReadonlyArray<{
      readonly name: string,
      readonly description: string | null
    }> | null
  } | null
};

export const playNames = operation<PlayNamesQuery, PlayNamesQueryVariables>(
  "PlayNames",
  "fragment PlayBase on BaseModel{id name family contextLength}fragment PlayRun on FineTune{id name labelWords calibrationPrompt bestEvaluation{step}baseModel{...PlayBase}}fragment PlayCheckpoint on Checkpoint{id step fineTune@include(if:$reads){...PlayRun}}query PlayNames($reads:Boolean!){baseModels(first:100){nodes{...PlayBase}}aliases(first:100){name baseModel{...PlayBase}checkpoint{...PlayCheckpoint}}}",
);

export const playModel = operation<PlayModelQuery, PlayModelQueryVariables>(
  "PlayModel",
  "fragment PlayBase on BaseModel{id name family contextLength}fragment PlayRun on FineTune{id name labelWords calibrationPrompt bestEvaluation{step}baseModel{...PlayBase}}fragment PlayCheckpoint on Checkpoint{id step fineTune@include(if:$reads){...PlayRun}}query PlayModel($id:ID!$reads:Boolean!){node(id:$id){kind:__typename ...on BaseModel{...PlayBase}...on FineTune{...PlayRun}...on Checkpoint{...PlayCheckpoint}}}",
);

export const playRuns = operation<PlayRunsQuery, PlayRunsQueryVariables>(
  "PlayRuns",
  "query PlayRuns($name:String!){fineTunes(first:8 filter:{name:$name}){nodes{id name baseModel{name}bestEvaluation{step accuracy loss}checkpoints(first:5){nodes{id step}}}}}",
);

export const playChat = operation<PlayChatQuery, PlayChatQueryVariables>(
  "PlayChat",
  "query PlayChat($baseModel:String!$jsonl:String!){previewRows(input:{baseModel:$baseModel jsonl:$jsonl rows:1}){counted}}",
);

export const playSettings = operation<PlaySettingsQuery, PlaySettingsQueryVariables>(
  "PlaySettings",
  "query PlaySettings{input:__type(name:\"CreateCompletionInput\"){inputFields{name description}}}",
);

