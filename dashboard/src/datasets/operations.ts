// Made by `npm run generate:operations` from schema/api.graphql. Do not edit.
import { operation } from "../../../client/operation.ts";
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type * as Types from '../../../client/schema-types.ts';

export type DatasetsQueryVariables = Exact<{
  name?: string | null | undefined;
  after?: string | null | undefined;
}>;


export type DatasetsQuery = {
  readonly datasets: {
    readonly totalCount: number,
    readonly pageInfo: {
      readonly hasNextPage: boolean,
      readonly endCursor: string | null
    },
    readonly nodes: ReadonlyArray<{
      readonly id: string,
      readonly name: string,
      readonly rows: number,
      readonly bytes: number,
      readonly url: string,
      readonly createdAt: string,
      readonly expiresAt: string | null,
      readonly expiryHeldBy: string | null,
      readonly uses: {
        readonly fineTunes: number,
        readonly evaluations: number,
        readonly unfinished: number
      }
    }>
  }
};

export type OneDatasetQueryVariables = Exact<{
  id: string;
}>;


export type OneDatasetQuery = {
  readonly dataset: {
    readonly id: string,
    readonly name: string,
    readonly rows: number,
    readonly bytes: number,
    readonly sha256: string,
    readonly url: string,
    readonly createdAt: string,
    readonly deletedAt: string | null,
    readonly expiresAt: string | null,
    readonly expiryHeldBy: string | null,
    readonly uses: {
      readonly fineTunes: number,
      readonly evaluations: number,
      readonly unfinished: number
    }
  } | null
};

export type DatasetUsesQueryVariables = Exact<{
  id: string;
}>;


export type DatasetUsesQuery = {
  readonly fineTunes: {
    readonly totalCount: number,
    readonly nodes: ReadonlyArray<{
      readonly id: string,
      readonly name: string,
      readonly status: Types.FineTuneStatus,
      readonly cancelRequested: boolean,
      readonly pauseRequested: boolean,
      readonly createdAt: string,
      readonly baseModel: {
        readonly name: string
      }
    }>
  },
  readonly dataset: {
    readonly evaluations: {
      readonly nodes: ReadonlyArray<{
        readonly id: string,
        readonly status: Types.ModelEvaluationStatus,
        readonly rows: number | null,
        readonly loss: number | null,
        readonly accuracy: number | null,
        readonly createdAt: string,
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
      }>
    }
  } | null
};

export type StoredRowsQueryVariables = Exact<{
  id: string;
  after?: string | null | undefined;
}>;


export type StoredRowsQuery = {
  readonly dataset: {
    readonly storedRows: {
      readonly endCursor: string | null,
      readonly rows: ReadonlyArray<{
        readonly line: number,
        readonly text: string,
        readonly bytes: number,
        readonly cut: boolean
      }>
    }
  } | null
};

export type SeenRowsQueryVariables = Exact<{
  input: Types.PreviewRowsInput;
}>;


export type SeenRowsQuery = {
  readonly previewRows: {
    readonly rows: ReadonlyArray<{
      readonly line: number,
      readonly length: number,
      readonly scored: number,
      readonly cutTokens: number,
      readonly tokens: ReadonlyArray<{
        readonly id: number,
        readonly text: string | null,
        readonly scored: boolean,
        readonly target: string | null
      }>,
      readonly issues: ReadonlyArray<{
        readonly message: string
      }>
    }>
  }
};

export type RowReadersQueryVariables = Exact<{ [key: string]: never; }>;


export type RowReadersQuery = {
  readonly baseModels: {
    readonly nodes: ReadonlyArray<{
      readonly name: string
    }>
  }
};

export type PresetsQueryVariables = Exact<{ [key: string]: never; }>;


export type PresetsQuery = {
  readonly datasetPresets: ReadonlyArray<{
    readonly name: Types.DatasetPreset,
    readonly fields: string
  }>
};

export type DeleteDatasetMutationVariables = Exact<{
  id: string;
}>;


export type DeleteDatasetMutation = {
  readonly deleteDataset: boolean
};

export type SetDatasetExpiryMutationVariables = Exact<{
  id: string;
  expiry: Types.ExpiryInput;
}>;


export type SetDatasetExpiryMutation = {
  readonly setExpiry: {
    readonly expiresAt: string | null
  }
};

export const datasets = operation<DatasetsQuery, DatasetsQueryVariables>(
  "Datasets",
  "query Datasets($name:String$after:String){datasets(first:50 name:$name after:$after){totalCount pageInfo{hasNextPage endCursor}nodes{id name rows bytes url createdAt expiresAt expiryHeldBy uses{fineTunes evaluations unfinished}}}}",
);

export const oneDataset = operation<OneDatasetQuery, OneDatasetQueryVariables>(
  "OneDataset",
  "query OneDataset($id:ID!){dataset(id:$id){id name rows bytes sha256 url createdAt deletedAt expiresAt expiryHeldBy uses{fineTunes evaluations unfinished}}}",
);

export const datasetUses = operation<DatasetUsesQuery, DatasetUsesQueryVariables>(
  "DatasetUses",
  "query DatasetUses($id:ID!){fineTunes(first:10 filter:{dataset:$id archived:null}){totalCount nodes{id name status cancelRequested pauseRequested createdAt baseModel{name}}}dataset(id:$id){evaluations(first:10){nodes{id status rows loss accuracy createdAt baseModel{name}checkpoint{id step fineTune{id name}}}}}}",
);

export const storedRows = operation<StoredRowsQuery, StoredRowsQueryVariables>(
  "StoredRows",
  "query StoredRows($id:ID!$after:String){dataset(id:$id){storedRows(first:10 after:$after){rows{line text bytes cut}endCursor}}}",
);

export const seenRows = operation<SeenRowsQuery, SeenRowsQueryVariables>(
  "SeenRows",
  "query SeenRows($input:PreviewRowsInput!){previewRows(input:$input){rows{line length scored cutTokens tokens{id text scored target}issues{message}}}}",
);

export const rowReaders = operation<RowReadersQuery, RowReadersQueryVariables>(
  "RowReaders",
  "query RowReaders{baseModels(first:100){nodes{name}}}",
);

export const presets = operation<PresetsQuery, PresetsQueryVariables>(
  "Presets",
  "query Presets{datasetPresets{name fields}}",
);

export const deleteDataset = operation<DeleteDatasetMutation, DeleteDatasetMutationVariables>(
  "DeleteDataset",
  "mutation DeleteDataset($id:ID!){deleteDataset(id:$id)}",
);

export const setDatasetExpiry = operation<SetDatasetExpiryMutation, SetDatasetExpiryMutationVariables>(
  "SetDatasetExpiry",
  "mutation SetDatasetExpiry($id:ID!$expiry:ExpiryInput!){setExpiry(id:$id expiry:$expiry){expiresAt}}",
);

