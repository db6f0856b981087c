// Made by `npm run generate:operations` from schema/api.graphql. Do not edit.
import { operation } from "../../../client/operation.ts";
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type * as Types from '../../../client/schema-types.ts';

export type WhoOperatesQueryVariables = Exact<{ [key: string]: never; }>;


export type WhoOperatesQuery = {
  readonly viewer: {
    readonly scopes: ReadonlyArray<Types.Scope>,
    readonly apiKey: {
      readonly id: string
    } | null,
    readonly project: {
      readonly id: string,
      readonly name: string
    }
  }
};

export type ListedProjectsQueryVariables = Exact<{
  first?: number | null | undefined;
  after?: string | null | undefined;
}>;


export type ListedProjectsQuery = {
  readonly projects: {
    readonly nodes: ReadonlyArray<{
      readonly id: string,
      readonly name: string,
      readonly createdAt: string,
      readonly keep: {
        readonly checkpoints: number | null,
        readonly completions: number | null,
        readonly datasets: number | null,
        readonly evaluations: number | null,
        readonly fineTunes: number | null,
        readonly weights: number | null
      }
    }>,
    readonly pageInfo: {
      readonly hasNextPage: boolean,
      readonly endCursor: string | null
    }
  }
};

export type ListedKeyFragment = {
  readonly id: string,
  readonly name: string,
  readonly start: string,
  readonly scopes: ReadonlyArray<Types.Scope>,
  readonly createdAt: string,
  readonly expiresAt: string | null,
  readonly lastUsedAt: string | null,
  readonly revokedAt: string | null,
  readonly project: {
    readonly id: string,
    readonly name: string
  }
};

export type ListedKeysQueryVariables = Exact<{
  project?: string | null | undefined;
  first?: number | null | undefined;
  after?: string | null | undefined;
}>;


export type ListedKeysQuery = {
  readonly apiKeys: {
    readonly nodes: ReadonlyArray<ListedKeyFragment>,
    readonly pageInfo: {
      readonly hasNextPage: boolean,
      readonly endCursor: string | null
    }
  }
};

export type MakeKeyMutationVariables = Exact<{
  input: Types.CreateApiKeyInput;
}>;


export type MakeKeyMutation = {
  readonly createApiKey: {
    readonly key: string,
    readonly apiKey: ListedKeyFragment
  }
};

export type RotateKeyMutationVariables = Exact<{
  id: string;
  overlapSeconds?: number | null | undefined;
}>;


export type RotateKeyMutation = {
  readonly rotateApiKey: {
    readonly key: string,
    readonly apiKey: ListedKeyFragment
  }
};

export type RenameKeyMutationVariables = Exact<{
  id: string;
  name: string;
}>;


export type RenameKeyMutation = {
  readonly renameApiKey: {
    readonly id: string,
    readonly name: string
  }
};

export type RevokeKeyMutationVariables = Exact<{
  id: string;
}>;


export type RevokeKeyMutation = {
  readonly revokeApiKey: {
    readonly id: string,
    readonly revokedAt: string | null
  }
};

export type DeleteKeyMutationVariables = Exact<{
  id: string;
}>;


export type DeleteKeyMutation = {
  readonly deleteApiKey: boolean
};

export type MakeProjectMutationVariables = Exact<{
  name: string;
}>;


export type MakeProjectMutation = {
  readonly createProject: {
    readonly id: string,
    readonly name: string
  }
};

export type RenameProjectMutationVariables = Exact<{
  id: string;
  name: string;
}>;


export type RenameProjectMutation = {
  readonly renameProject: {
    readonly id: string,
    readonly name: string
  }
};

export type EraseProjectMutationVariables = Exact<{
  id: string;
  name: string;
}>;


export type EraseProjectMutation = {
  readonly eraseProject: {
    readonly name: string,
    readonly fineTunes: number,
    readonly datasets: number,
    readonly evaluations: number,
    readonly completions: number,
    readonly files: number,
    readonly filesWaiting: number
  }
};

export type QuotasOfQueryVariables = Exact<{
  project?: string | null | undefined;
}>;


export type QuotasOfQuery = {
  readonly quotas: ReadonlyArray<{
    readonly name: Types.QuotaName,
    readonly limit: number,
    readonly used: number,
    readonly resetsAt: string | null
  }>
};

export type SetQuotasMutationVariables = Exact<{
  project: string;
  quotas: Types.QuotasInput;
}>;


export type SetQuotasMutation = {
  readonly setProjectQuotas: ReadonlyArray<{
    readonly name: Types.QuotaName,
    readonly limit: number
  }>
};

export type SetKeepMutationVariables = Exact<{
  project: string;
  keep: Types.ProjectKeepInput;
}>;


export type SetKeepMutation = {
  readonly setProjectKeep: {
    readonly fineTunes: number | null
  }
};

export type SetRatesMutationVariables = Exact<{
  of: Types.RateLimitedInput;
  limits: Types.RateLimitsInput;
}>;


export type SetRatesMutation = {
  readonly setRateLimits: ReadonlyArray<{
    readonly name: Types.RateLimitName,
    readonly limit: number
  }>
};

export type OwnRatesQueryVariables = Exact<{ [key: string]: never; }>;


export type OwnRatesQuery = {
  readonly rateLimits: ReadonlyArray<{
    readonly name: Types.RateLimitName,
    readonly limit: number,
    readonly remaining: number,
    readonly resetsInSeconds: number,
    readonly windowSeconds: number
  }>
};

export type UsageByDayQueryVariables = Exact<{
  project?: string | null | undefined;
  from: string;
  to: string;
}>;


export type UsageByDayQuery = {
  readonly usage: ReadonlyArray<{
    readonly day: string,
    readonly steps: number,
    readonly stepSeconds: number,
    readonly evaluationSeconds: number,
    readonly completionSeconds: number,
    readonly rebuildSeconds: number,
    readonly tokensTrained: number,
    readonly tokensGenerated: number,
    readonly bytes: number
  }>
};

export type RoomOnDiskQueryVariables = Exact<{
  project?: string | null | undefined;
}>;


export type RoomOnDiskQuery = {
  readonly diskUse: {
    readonly blobBytes: number,
    readonly databaseBytes: number | null,
    readonly parts: ReadonlyArray<{
      readonly kind: Types.DiskUseKind,
      readonly blobBytes: number,
      readonly databaseBytes: number,
      readonly files: number,
      readonly project: {
        readonly id: string,
        readonly name: string
      } | null
    }>
  }
};

export type LiveWorkersQueryVariables = Exact<{ [key: string]: never; }>;


export type LiveWorkersQuery = {
  readonly workers: ReadonlyArray<{
    readonly name: string,
    readonly device: string,
    readonly version: string,
    readonly startedAt: string,
    readonly lastSeenAt: string,
    readonly asleep: boolean,
    readonly memoryBytes: number,
    readonly kinds: ReadonlyArray<string>,
    readonly families: ReadonlyArray<string>,
    readonly precisions: ReadonlyArray<Types.Precision>,
    readonly models: ReadonlyArray<{
      readonly name: string,
      readonly hash: string
    }>,
    readonly job: {
      readonly kind: string,
      readonly fineTune: {
        readonly id: string,
        readonly name: string,
        readonly progress: {
          readonly step: number,
          readonly steps: number
        }
      } | null,
      readonly checkpoint: {
        readonly id: string,
        readonly step: number,
        readonly fineTune: {
          readonly id: string,
          readonly name: string
        }
      } | null
    } | null,
    readonly serving: {
      readonly memoryBytes: number,
      readonly usedBytes: number,
      readonly places: number,
      readonly requests: number,
      readonly warm: ReadonlyArray<{
        readonly base: string,
        readonly chain: string | null
      }>
    } | null
  }>
};

export type QueuedWorkQueryVariables = Exact<{ [key: string]: never; }>;


export type QueuedWorkQuery = {
  readonly service: {
    readonly queue: ReadonlyArray<{
      readonly kind: string,
      readonly model: string | null,
      readonly waiting: number,
      readonly running: number,
      readonly oldestSeconds: number | null,
      readonly lack: string | null
    }> | null
  }
};

export type WaitingRunsQueryVariables = Exact<{
  first?: number | null | undefined;
}>;


export type WaitingRunsQuery = {
  readonly fineTunes: {
    readonly totalCount: number,
    readonly nodes: ReadonlyArray<{
      readonly id: string,
      readonly name: string,
      readonly createdAt: string,
      readonly priority: number,
      readonly waitingReason: string | null,
      readonly queuePosition: number | null,
      readonly estimatedSecondsLeft: number | null,
      readonly baseModel: {
        readonly name: string,
        readonly family: string,
        readonly bytes: number
      }
    }>
  }
};

export type ListedWebhookFragment = {
  readonly id: string,
  readonly url: string,
  readonly description: string,
  readonly events: ReadonlyArray<string>,
  readonly enabled: boolean,
  readonly createdAt: string,
  readonly disabledAt: string | null,
  readonly disabledReason: string | null,
  readonly failingSince: string | null
};

export type ListedWebhooksQueryVariables = Exact<{ [key: string]: never; }>;


export type ListedWebhooksQuery = {
  readonly webhooks: ReadonlyArray<ListedWebhookFragment>
};

export type OneWebhookQueryVariables = Exact<{
  id: string;
  first?: number | null | undefined;
  after?: string | null | undefined;
  status?: Types.WebhookDeliveryStatus | null | undefined;
}>;


export type OneWebhookQuery = {
  readonly webhook: (
    {
    readonly deliveries: {
      readonly nodes: ReadonlyArray<{
        readonly id: string,
        readonly webhookId: string,
        readonly type: string,
        readonly status: Types.WebhookDeliveryStatus,
        readonly createdAt: string,
        readonly nextAttemptAt: string | null,
        readonly payload: string,
        readonly attempts: ReadonlyArray<{
          readonly number: number,
          readonly at: string,
          readonly seconds: number | null,
          readonly responseCode: number | null,
          readonly error: string | null
        }>
      }>,
      readonly pageInfo: {
        readonly hasNextPage: boolean,
        readonly endCursor: string | null
      }
    }
  }
    & ListedWebhookFragment
  ) | null
};

export type MakeWebhookMutationVariables = Exact<{
  input: Types.CreateWebhookInput;
}>;


export type MakeWebhookMutation = {
  readonly createWebhook: {
    readonly secret: string,
    readonly webhook: ListedWebhookFragment
  }
};

export type ChangeWebhookMutationVariables = Exact<{
  id: string;
  input: Types.UpdateWebhookInput;
}>;


export type ChangeWebhookMutation = {
  readonly updateWebhook: ListedWebhookFragment
};

export type RenewWebhookSecretMutationVariables = Exact<{
  id: string;
}>;


export type RenewWebhookSecretMutation = {
  readonly rotateWebhookSecret: {
    readonly secret: string,
    readonly webhook: {
      readonly id: string
    }
  }
};

export type RemoveWebhookMutationVariables = Exact<{
  id: string;
}>;


export type RemoveWebhookMutation = {
  readonly deleteWebhook: boolean
};

export type TestWebhookMutationVariables = Exact<{
  id: string;
}>;


export type TestWebhookMutation = {
  readonly testWebhook: {
    readonly id: string,
    readonly status: Types.WebhookDeliveryStatus
  }
};

export type SendAgainMutationVariables = Exact<{
  id: string;
  webhookId?: string | null | undefined;
  since?: string | null | undefined;
}>;


export type SendAgainMutation = {
  readonly replayWebhook: number
};

export type AuditEntriesQueryVariables = Exact<{
  first?: number | null | undefined;
  after?: string | null | undefined;
  action?: string | null | undefined;
  actor?: string | null | undefined;
  project?: string | null | undefined;
  from?: string | null | undefined;
  until?: string | null | undefined;
}>;


export type AuditEntriesQuery = {
  readonly auditLog: {
    readonly nodes: ReadonlyArray<{
      readonly at: string,
      readonly action: string,
      readonly objectType: string,
      readonly objectId: string | null,
      readonly objectName: string | null,
      readonly projectId: string,
      readonly actor: {
        readonly kind: Types.AuditActorKind,
        readonly name: string | null,
        readonly apiKeyId: string | null,
        readonly address: string | null,
        readonly requestId: string | null
      },
      readonly details: ReadonlyArray<{
        readonly name: string,
        readonly value: string | null
      }>
    }>,
    readonly pageInfo: {
      readonly hasNextPage: boolean,
      readonly endCursor: string | null
    }
  }
};

export const whoOperates = operation<WhoOperatesQuery, WhoOperatesQueryVariables>(
  "WhoOperates",
  "query WhoOperates{viewer{apiKey{id}project{id name}scopes}}",
);

export const listedProjects = operation<ListedProjectsQuery, ListedProjectsQueryVariables>(
  "ListedProjects",
  "query ListedProjects($first:Int$after:String){projects(first:$first after:$after){nodes{id name createdAt keep{checkpoints completions datasets evaluations fineTunes weights}}pageInfo{hasNextPage endCursor}}}",
);

export const listedKeys = operation<ListedKeysQuery, ListedKeysQueryVariables>(
  "ListedKeys",
  "fragment ListedKey on ApiKey{id name start scopes createdAt expiresAt lastUsedAt revokedAt project{id name}}query ListedKeys($project:ID$first:Int$after:String){apiKeys(project:$project first:$first after:$after){nodes{...ListedKey}pageInfo{hasNextPage endCursor}}}",
);

export const makeKey = operation<MakeKeyMutation, MakeKeyMutationVariables>(
  "MakeKey",
  "fragment ListedKey on ApiKey{id name start scopes createdAt expiresAt lastUsedAt revokedAt project{id name}}mutation MakeKey($input:CreateApiKeyInput!){createApiKey(input:$input){key apiKey{...ListedKey}}}",
);

export const rotateKey = operation<RotateKeyMutation, RotateKeyMutationVariables>(
  "RotateKey",
  "fragment ListedKey on ApiKey{id name start scopes createdAt expiresAt lastUsedAt revokedAt project{id name}}mutation RotateKey($id:ID!$overlapSeconds:Int){rotateApiKey(id:$id overlapSeconds:$overlapSeconds){key apiKey{...ListedKey}}}",
);

export const renameKey = operation<RenameKeyMutation, RenameKeyMutationVariables>(
  "RenameKey",
  "mutation RenameKey($id:ID!$name:String!){renameApiKey(id:$id name:$name){id name}}",
);

export const revokeKey = operation<RevokeKeyMutation, RevokeKeyMutationVariables>(
  "RevokeKey",
  "mutation RevokeKey($id:ID!){revokeApiKey(id:$id){id revokedAt}}",
);

export const deleteKey = operation<DeleteKeyMutation, DeleteKeyMutationVariables>(
  "DeleteKey",
  "mutation DeleteKey($id:ID!){deleteApiKey(id:$id)}",
);

export const makeProject = operation<MakeProjectMutation, MakeProjectMutationVariables>(
  "MakeProject",
  "mutation MakeProject($name:String!){createProject(name:$name){id name}}",
);

export const renameProject = operation<RenameProjectMutation, RenameProjectMutationVariables>(
  "RenameProject",
  "mutation RenameProject($id:ID!$name:String!){renameProject(id:$id name:$name){id name}}",
);

export const eraseProject = operation<EraseProjectMutation, EraseProjectMutationVariables>(
  "EraseProject",
  "mutation EraseProject($id:ID!$name:String!){eraseProject(id:$id name:$name){name fineTunes datasets evaluations completions files filesWaiting}}",
);

export const quotasOf = operation<QuotasOfQuery, QuotasOfQueryVariables>(
  "QuotasOf",
  "query QuotasOf($project:ID){quotas(project:$project){name limit used resetsAt}}",
);

export const setQuotas = operation<SetQuotasMutation, SetQuotasMutationVariables>(
  "SetQuotas",
  "mutation SetQuotas($project:ID!$quotas:QuotasInput!){setProjectQuotas(project:$project quotas:$quotas){name limit}}",
);

export const setKeep = operation<SetKeepMutation, SetKeepMutationVariables>(
  "SetKeep",
  "mutation SetKeep($project:ID!$keep:ProjectKeepInput!){setProjectKeep(project:$project keep:$keep){fineTunes}}",
);

export const setRates = operation<SetRatesMutation, SetRatesMutationVariables>(
  "SetRates",
  "mutation SetRates($of:RateLimitedInput!$limits:RateLimitsInput!){setRateLimits(of:$of limits:$limits){name limit}}",
);

export const ownRates = operation<OwnRatesQuery, OwnRatesQueryVariables>(
  "OwnRates",
  "query OwnRates{rateLimits{name limit remaining resetsInSeconds windowSeconds}}",
);

export const usageByDay = operation<UsageByDayQuery, UsageByDayQueryVariables>(
  "UsageByDay",
  "query UsageByDay($project:ID$from:Date!$to:Date!){usage(project:$project from:$from to:$to){day steps stepSeconds evaluationSeconds completionSeconds rebuildSeconds tokensTrained tokensGenerated bytes}}",
);

export const roomOnDisk = operation<RoomOnDiskQuery, RoomOnDiskQueryVariables>(
  "RoomOnDisk",
  "query RoomOnDisk($project:ID){diskUse(project:$project){blobBytes databaseBytes parts{kind blobBytes databaseBytes files project{id name}}}}",
);

export const liveWorkers = operation<LiveWorkersQuery, LiveWorkersQueryVariables>(
  "LiveWorkers",
  "query LiveWorkers{workers{name device version startedAt lastSeenAt asleep memoryBytes kinds families precisions models{name hash}job{kind fineTune{id name progress{step steps}}checkpoint{id step fineTune{id name}}}serving{memoryBytes usedBytes places requests warm{base chain}}}}",
);

export const queuedWork = operation<QueuedWorkQuery, QueuedWorkQueryVariables>(
  "QueuedWork",
  "query QueuedWork{service{queue{kind model waiting running oldestSeconds lack}}}",
);

export const waitingRuns = operation<WaitingRunsQuery, WaitingRunsQueryVariables>(
  "WaitingRuns",
  "query WaitingRuns($first:Int){fineTunes(first:$first status:QUEUED){totalCount nodes{id name createdAt priority waitingReason queuePosition estimatedSecondsLeft baseModel{name family bytes}}}}",
);

export const listedWebhooks = operation<ListedWebhooksQuery, ListedWebhooksQueryVariables>(
  "ListedWebhooks",
  "fragment ListedWebhook on Webhook{id url description events enabled createdAt disabledAt disabledReason failingSince}query ListedWebhooks{webhooks{...ListedWebhook}}",
);

export const oneWebhook = operation<OneWebhookQuery, OneWebhookQueryVariables>(
  "OneWebhook",
  "fragment ListedWebhook on Webhook{id url description events enabled createdAt disabledAt disabledReason failingSince}query OneWebhook($id:ID!$first:Int$after:String$status:WebhookDeliveryStatus){webhook(id:$id){...ListedWebhook deliveries(first:$first after:$after status:$status){nodes{id webhookId type status createdAt nextAttemptAt payload attempts{number at seconds responseCode error}}pageInfo{hasNextPage endCursor}}}}",
);

export const makeWebhook = operation<MakeWebhookMutation, MakeWebhookMutationVariables>(
  "MakeWebhook",
  "fragment ListedWebhook on Webhook{id url description events enabled createdAt disabledAt disabledReason failingSince}mutation MakeWebhook($input:CreateWebhookInput!){createWebhook(input:$input){secret webhook{...ListedWebhook}}}",
);

export const changeWebhook = operation<ChangeWebhookMutation, ChangeWebhookMutationVariables>(
  "ChangeWebhook",
  "fragment ListedWebhook on Webhook{id url description events enabled createdAt disabledAt disabledReason failingSince}mutation ChangeWebhook($id:ID!$input:UpdateWebhookInput!){updateWebhook(id:$id input:$input){...ListedWebhook}}",
);

export const renewWebhookSecret = operation<RenewWebhookSecretMutation, RenewWebhookSecretMutationVariables>(
  "RenewWebhookSecret",
  "mutation RenewWebhookSecret($id:ID!){rotateWebhookSecret(id:$id){secret webhook{id}}}",
);

export const removeWebhook = operation<RemoveWebhookMutation, RemoveWebhookMutationVariables>(
  "RemoveWebhook",
  "mutation RemoveWebhook($id:ID!){deleteWebhook(id:$id)}",
);

export const testWebhook = operation<TestWebhookMutation, TestWebhookMutationVariables>(
  "TestWebhook",
  "mutation TestWebhook($id:ID!){testWebhook(id:$id){id status}}",
);

export const sendAgain = operation<SendAgainMutation, SendAgainMutationVariables>(
  "SendAgain",
  "mutation SendAgain($id:ID!$webhookId:String$since:DateTime){replayWebhook(id:$id webhookId:$webhookId since:$since)}",
);

export const auditEntries = operation<AuditEntriesQuery, AuditEntriesQueryVariables>(
  "AuditEntries",
  "query AuditEntries($first:Int$after:String$action:String$actor:String$project:ID$from:DateTime$until:DateTime){auditLog(first:$first after:$after action:$action actor:$actor project:$project from:$from until:$until){nodes{at action objectType objectId objectName projectId actor{kind name apiKeyId address requestId}details{name value}}pageInfo{hasNextPage endCursor}}}",
);

