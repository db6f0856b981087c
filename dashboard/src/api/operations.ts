// Made by `npm run generate:dashboard` from schema/api.graphql and operations.graphql. Do not edit.

import { operation } from "./operation.ts";

export interface CreateFineTuneInput {
  readonly baseModel?: string | null;
  readonly calibrationPrompt?: string | null;
  readonly dataset?: string | null;
  readonly from?: string | null;
  readonly hyperparameters?: HyperparametersInput | null;
  readonly idempotencyKey?: string | null;
  readonly keepWeights?: boolean | null;
  readonly labelWords?: readonly (string)[] | null;
  readonly name: string;
  readonly testDataset?: string | null;
  readonly validationDataset?: string | null;
}

export interface HyperparametersInput {
  readonly accumulate?: number | null;
  readonly answerTokens?: number | null;
  readonly batchSize?: number | null;
  readonly bestMetric?: "ACCURACY" | "AUTO" | "EXACT_MATCH" | "F1" | "LOSS" | null;
  readonly checkpointEvery?: number | null;
  readonly clipGradient?: number | null;
  readonly epsilon?: number | null;
  readonly estimates?: number | null;
  readonly estimatesAtEnd?: number | null;
  readonly estimator?: "FZOO" | "ONE_SIDED" | "SPSA" | null;
  readonly evaluateEvery?: number | null;
  readonly inContextRows?: number | null;
  readonly learningRate?: number | "AUTO" | null;
  readonly linearProbe?: boolean | null;
  readonly loraAlpha?: number | null;
  readonly loraRank?: number | null;
  readonly loraTargets?: readonly (string)[] | null;
  readonly method?: "FULL" | "HEAD" | "LORA" | "PREFIX" | null;
  readonly noise?: "NORMAL" | "RADEMACHER" | null;
  readonly objective?: "ACCURACY" | "CLASSIFICATION" | "EXACT_MATCH" | "F1" | "LOSS" | null;
  readonly patience?: number | null;
  readonly precision?: "BFLOAT16" | "FLOAT32" | null;
  readonly prefixLength?: number | null;
  readonly schedule?: "CONSTANT" | "COSINE" | "LINEAR" | null;
  readonly seed?: number | null;
  readonly steps?: number | null;
  readonly tensors?: readonly (string)[] | null;
  readonly warmupSteps?: number | null;
  readonly weightDecay?: number | null;
}

export interface ContinueFineTuneInput {
  readonly fineTune: string;
  readonly idempotencyKey?: string | null;
  readonly name?: string | null;
  readonly steps: number;
}

export type Summary = {
  readonly id: string;
  readonly name: string;
  readonly status: "CANCELLED" | "FAILED" | "QUEUED" | "RUNNING" | "SUCCEEDED";
  readonly cancelRequested: boolean;
  readonly baseModel: {
    readonly name: string;
    readonly bytes: number;
  };
  readonly loss: number | null;
  readonly device: string | null;
  readonly pickedRate: number | null;
  readonly progress: {
    readonly step: number;
    readonly steps: number;
    readonly fraction: number;
    readonly stepsPerSecond: number | null;
    readonly etaSeconds: number | null;
    readonly skippedSteps: number;
    readonly zeroSteps: number;
  };
  readonly error: {
    readonly code: "BASE_MISMATCH" | "CONFLICT" | "DATASET_INVALID" | "DEVICE_UNAVAILABLE" | "INTERNAL" | "INVALID_ARGUMENT" | "INVALID_STATE" | "LEASE_LOST" | "LOG_INVALID" | "LOSS_NOT_FINITE" | "MODEL_INVALID" | "MODEL_UNSUPPORTED" | "NOT_FOUND" | "PAYLOAD_TOO_LARGE" | "UNAUTHENTICATED" | "UNAVAILABLE";
    readonly message: string;
    readonly issues: readonly ({
      readonly line: number | null;
      readonly field: string | null;
      readonly message: string;
    })[];
  } | null;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
};

export type Results = {
  readonly evaluations: readonly ({
    readonly kind: "IN_CONTEXT" | "LINEAR_PROBE" | "TEST" | "VALIDATION";
    readonly step: number;
    readonly rows: number;
    readonly loss: number;
    readonly accuracy: number | null;
    readonly f1: number | null;
  })[];
  readonly bestEvaluation: {
    readonly step: number;
  } | null;
  readonly checkpoints: {
    readonly nodes: readonly ({
      readonly id: string;
      readonly entries: number;
      readonly step: number;
      readonly chainHash: string;
      readonly logUrl: string;
      readonly logBytes: number;
      readonly weightsStatus: "FAILED" | "NONE" | "QUEUED" | "STORED";
      readonly weightsUrl: string | null;
      readonly weightsBytes: number | null;
      readonly weightsFiles: readonly ({
        readonly name: string;
        readonly url: string;
      })[];
      readonly weightsError: string | null;
    })[];
    readonly pageInfo: {
      readonly hasNextPage: boolean;
    };
  };
};

export type FineTunesResult = {
  readonly fineTunes: {
    readonly nodes: readonly (Summary)[];
    readonly pageInfo: {
      readonly hasNextPage: boolean;
      readonly endCursor: string | null;
    };
  };
};
export const fineTunes = operation<FineTunesResult, { after?: string | null }>(
  "FineTunes", `fragment Summary on FineTune {
  id
  name
  status
  cancelRequested
  baseModel {
    name
    bytes
  }
  loss
  device
  pickedRate
  progress {
    step
    steps
    fraction
    stepsPerSecond
    etaSeconds
    skippedSteps
    zeroSteps
  }
  error {
    code
    message
    issues {
      line
      field
      message
    }
  }
  createdAt
  startedAt
  finishedAt
}

query FineTunes($after: String) {
  fineTunes(first: 20, after: $after) {
    nodes {
      ...Summary
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}`,
);

export type FineTuneResult = {
  readonly fineTune: Summary & Results & {
    readonly labelWords: readonly (string)[];
    readonly dataset: {
      readonly name: string;
      readonly rows: number;
    };
    readonly validationDataset: {
      readonly name: string;
      readonly rows: number;
    } | null;
    readonly testDataset: {
      readonly name: string;
      readonly rows: number;
    } | null;
    readonly from: {
      readonly step: number;
      readonly fineTune: {
        readonly id: string;
        readonly name: string;
      };
    } | null;
    readonly hyperparameters: {
      readonly method: "FULL" | "HEAD" | "LORA" | "PREFIX";
      readonly tensors: readonly (string)[];
      readonly loraRank: number;
      readonly loraAlpha: number;
      readonly loraTargets: readonly (string)[];
      readonly prefixLength: number;
      readonly objective: "ACCURACY" | "CLASSIFICATION" | "EXACT_MATCH" | "F1" | "LOSS";
      readonly answerTokens: number;
      readonly steps: number;
      readonly batchSize: number;
      readonly accumulate: number;
      readonly estimator: "FZOO" | "ONE_SIDED" | "SPSA";
      readonly estimates: number;
      readonly estimatesAtEnd: number;
      readonly learningRate: number | "AUTO";
      readonly schedule: "CONSTANT" | "COSINE" | "LINEAR";
      readonly warmupSteps: number;
      readonly clipGradient: number;
      readonly epsilon: number;
      readonly weightDecay: number;
      readonly noise: "NORMAL" | "RADEMACHER";
      readonly precision: "BFLOAT16" | "FLOAT32";
      readonly seed: number;
      readonly evaluateEvery: number;
      readonly bestMetric: "ACCURACY" | "AUTO" | "EXACT_MATCH" | "F1" | "LOSS";
      readonly patience: number;
      readonly inContextRows: number;
      readonly linearProbe: boolean;
      readonly checkpointEvery: number;
    };
    readonly chart: readonly ({
      readonly step: number;
      readonly loss: number | null;
      readonly count: number;
    })[];
  } | null;
};
export const fineTune = operation<FineTuneResult, { id: string }>(
  "FineTune", `fragment Summary on FineTune {
  id
  name
  status
  cancelRequested
  baseModel {
    name
    bytes
  }
  loss
  device
  pickedRate
  progress {
    step
    steps
    fraction
    stepsPerSecond
    etaSeconds
    skippedSteps
    zeroSteps
  }
  error {
    code
    message
    issues {
      line
      field
      message
    }
  }
  createdAt
  startedAt
  finishedAt
}

fragment Results on FineTune {
  evaluations(kind: null) {
    kind
    step
    rows
    loss
    accuracy
    f1
  }
  bestEvaluation {
    step
  }
  checkpoints(first: 50) {
    nodes {
      id
      entries
      step
      chainHash
      logUrl
      logBytes
      weightsStatus
      weightsUrl
      weightsBytes
      weightsFiles {
        name
        url
      }
      weightsError
    }
    pageInfo {
      hasNextPage
    }
  }
}

query FineTune($id: ID!) {
  fineTune(id: $id) {
    ...Summary
    ...Results
    labelWords
    dataset {
      name
      rows
    }
    validationDataset {
      name
      rows
    }
    testDataset {
      name
      rows
    }
    from {
      step
      fineTune {
        id
        name
      }
    }
    hyperparameters {
      method
      tensors
      loraRank
      loraAlpha
      loraTargets
      prefixLength
      objective
      answerTokens
      steps
      batchSize
      accumulate
      estimator
      estimates
      estimatesAtEnd
      learningRate
      schedule
      warmupSteps
      clipGradient
      epsilon
      weightDecay
      noise
      precision
      seed
      evaluateEvery
      bestMetric
      patience
      inContextRows
      linearProbe
      checkpointEvery
    }
    chart(points: 1000) {
      step
      loss
      count
    }
  }
}`,
);

export type ResultsResult = {
  readonly fineTune: Results | null;
};
export const results = operation<ResultsResult, { id: string }>(
  "Results", `fragment Results on FineTune {
  evaluations(kind: null) {
    kind
    step
    rows
    loss
    accuracy
    f1
  }
  bestEvaluation {
    step
  }
  checkpoints(first: 50) {
    nodes {
      id
      entries
      step
      chainHash
      logUrl
      logBytes
      weightsStatus
      weightsUrl
      weightsBytes
      weightsFiles {
        name
        url
      }
      weightsError
    }
    pageInfo {
      hasNextPage
    }
  }
}

query Results($id: ID!) {
  fineTune(id: $id) {
    ...Results
  }
}`,
);

export type ChoicesResult = {
  readonly datasetPresets: readonly ({
    readonly name: "BOOLQ" | "CB" | "COPA" | "DROP" | "MNLI" | "MULTIRC" | "RECORD" | "RTE" | "SNLI" | "SQUAD" | "SST2" | "SST5" | "TREC" | "WIC" | "WSC";
    readonly fields: string;
  })[];
  readonly foundModels: readonly ({
    readonly name: string;
    readonly family: string | null;
    readonly dtype: string | null;
    readonly parameters: number | null;
    readonly registering: boolean;
    readonly problem: string | null;
  })[];
  readonly baseModels: {
    readonly nodes: readonly ({
      readonly name: string;
      readonly family: string;
      readonly dtype: string;
      readonly parameters: number;
      readonly contextLength: number;
    })[];
  };
  readonly datasets: {
    readonly nodes: readonly ({
      readonly id: string;
      readonly name: string;
      readonly rows: number;
    })[];
  };
};
export const choices = operation<ChoicesResult, {  }>(
  "Choices", `query Choices {
  datasetPresets {
    name
    fields
  }
  foundModels {
    name
    family
    dtype
    parameters
    registering
    problem
  }
  baseModels(first: 100) {
    nodes {
      name
      family
      dtype
      parameters
      contextLength
    }
  }
  datasets(first: 100) {
    nodes {
      id
      name
      rows
    }
  }
}`,
);

export type RegisterBaseModelResult = {
  readonly registerBaseModel: {
    readonly baseModel: {
      readonly name: string;
    } | null;
  };
};
export const registerBaseModel = operation<RegisterBaseModelResult, { name: string }>(
  "RegisterBaseModel", `mutation RegisterBaseModel($name: String!) {
  registerBaseModel(name: $name) {
    baseModel {
      name
    }
  }
}`,
);

export type CreateFineTuneResult = {
  readonly createFineTune: {
    readonly fineTune: {
      readonly id: string;
    };
  };
};
export const createFineTune = operation<CreateFineTuneResult, { input: CreateFineTuneInput }>(
  "CreateFineTune", `mutation CreateFineTune($input: CreateFineTuneInput!) {
  createFineTune(input: $input) {
    fineTune {
      id
    }
  }
}`,
);

export type ContinueFineTuneResult = {
  readonly continueFineTune: {
    readonly fineTune: {
      readonly id: string;
    };
  };
};
export const continueFineTune = operation<ContinueFineTuneResult, { input: ContinueFineTuneInput }>(
  "ContinueFineTune", `mutation ContinueFineTune($input: ContinueFineTuneInput!) {
  continueFineTune(input: $input) {
    fineTune {
      id
    }
  }
}`,
);

export type CancelFineTuneResult = {
  readonly cancelFineTune: Summary;
};
export const cancelFineTune = operation<CancelFineTuneResult, { id: string }>(
  "CancelFineTune", `fragment Summary on FineTune {
  id
  name
  status
  cancelRequested
  baseModel {
    name
    bytes
  }
  loss
  device
  pickedRate
  progress {
    step
    steps
    fraction
    stepsPerSecond
    etaSeconds
    skippedSteps
    zeroSteps
  }
  error {
    code
    message
    issues {
      line
      field
      message
    }
  }
  createdAt
  startedAt
  finishedAt
}

mutation CancelFineTune($id: ID!) {
  cancelFineTune(id: $id) {
    ...Summary
  }
}`,
);

export type MaterialiseCheckpointResult = {
  readonly materialiseCheckpoint: {
    readonly id: string;
    readonly weightsStatus: "FAILED" | "NONE" | "QUEUED" | "STORED";
  };
};
export const materialiseCheckpoint = operation<MaterialiseCheckpointResult, { id: string }>(
  "MaterialiseCheckpoint", `mutation MaterialiseCheckpoint($id: ID!) {
  materialiseCheckpoint(id: $id) {
    id
    weightsStatus
  }
}`,
);

export type StatusResult = {
  readonly fineTuneStatus: Summary;
};
export const status = operation<StatusResult, { id: string }>(
  "Status", `fragment Summary on FineTune {
  id
  name
  status
  cancelRequested
  baseModel {
    name
    bytes
  }
  loss
  device
  pickedRate
  progress {
    step
    steps
    fraction
    stepsPerSecond
    etaSeconds
    skippedSteps
    zeroSteps
  }
  error {
    code
    message
    issues {
      line
      field
      message
    }
  }
  createdAt
  startedAt
  finishedAt
}

subscription Status($id: ID!) {
  fineTuneStatus(fineTuneId: $id) {
    ...Summary
  }
}`,
);

export type StepsResult = {
  readonly steps: {
    readonly cursor: number;
    readonly step: {
      readonly step: number;
      readonly loss: number | null;
    };
  };
};
export const steps = operation<StepsResult, { id: string; after: number }>(
  "Steps", `subscription Steps($id: ID!, $after: Int!) {
  steps(fineTuneId: $id, after: $after) {
    cursor
    step {
      step
      loss
    }
  }
}`,
);

export type EventsResult = {
  readonly events: {
    readonly cursor: number;
    readonly event: {
      readonly sequence: number;
      readonly type: string;
      readonly message: string;
      readonly at: string;
    };
  };
};
export const events = operation<EventsResult, { id: string; after: number }>(
  "Events", `subscription Events($id: ID!, $after: Int!) {
  events(fineTuneId: $id, after: $after) {
    cursor
    event {
      sequence
      type
      message
      at
    }
  }
}`,
);

