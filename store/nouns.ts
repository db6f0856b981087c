/** What anyone may call of the store, by noun. */
import type { Blobs } from "./blobs/blobs.ts";
import type { Datasets } from "./datasets.ts";
import type { Expiries } from "./ends/expiry.ts";
import type { Feed } from "./live/feed.ts";
import type { BaseModels } from "./models/base-models.ts";
import type { CopiedModels } from "./models/copied-models.ts";
import type { FoundModels } from "./models/found-models.ts";
import type { ModelDownloads } from "./models/model-downloads.ts";
import type { Keys } from "./projects/keys.ts";
import type { Projects } from "./projects/projects.ts";
import type { ModelFiles } from "./models/model-files.ts";
import type { Workers } from "./queue/workers.ts";
import type { RowChecks } from "./row-checks.ts";
import type { Checkpoints } from "./runs/checkpoints.ts";
import type { Exports } from "./runs/exports.ts";
import type { FineTunes } from "./runs/fine-tunes.ts";
import type { Aliases } from "./serving/aliases.ts";
import type { Completions } from "./serving/completions.ts";
import type { Evaluations } from "./serving/evaluations.ts";
import type { Models } from "./serving/models.ts";
import type { Sweeps } from "./runs/sweeps.ts";
import type { Speeds } from "./speeds.ts";
import type { Webhooks } from "./webhooks/endpoints.ts";

export interface Nouns {
  readonly blobs: Blobs;
  readonly projects: Projects;
  readonly keys: Keys;
  readonly baseModels: BaseModels;
  readonly foundModels: FoundModels;
  readonly modelDownloads: ModelDownloads;
  readonly modelFiles: ModelFiles;
  readonly copiedModels: CopiedModels;
  readonly datasets: Datasets;
  readonly rowChecks: RowChecks;
  readonly speeds: Speeds;
  readonly fineTunes: FineTunes;
  readonly sweeps: Sweeps;
  readonly checkpoints: Checkpoints;
  readonly completions: Completions;
  /** Those of the default project. */
  readonly aliases: Aliases;
  readonly evaluations: Evaluations;
  readonly exports: Exports;
  /** As `aliases`. */
  readonly models: Models;
  /** As `aliases`. */
  readonly webhooks: Webhooks;
  readonly workers: Workers;
  readonly expiries: Expiries;
  readonly feed: Feed;
}
