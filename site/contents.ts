/**
 * What the documentation has, in the order in which it is read: the navigation of the site and its first page. The pages stay
 * Markdown in the repository, with links that work there; a page that is in no group fails a test.
 */
export interface Entry {
  /** Path of the Markdown from the root; null for a page that is made. */
  readonly source: string | null;
  /** Name of the page's address, without ".html". */
  readonly slug: string;
  /** In the navigation, which is narrower than a heading. */
  readonly name: string;
  /** What somebody wants who opens it. */
  readonly wants: string;
}

export interface Group {
  readonly name: string;
  readonly entries: readonly Entry[];
}

export const contents: readonly Group[] = [
  {
    name: "Begin",
    entries: [
      page("docs/START.md", "Start in five minutes", "From a clone to a tuned model on disk."),
      page("docs/CONCEPTS.md", "Concepts", "Why two bytes an estimate are a checkpoint."),
      page("docs/EXAMPLES.md", "Examples", "Whole programs: curl, Python, OpenAI's client."),
      page("README.md", "What Steplog is", "What it does, for whom, and how to install it."),
    ],
  },
  {
    name: "Your data",
    entries: [
      page("docs/YOUR_DATA.md", "Rows of your own", "Formats, splits, checks, and rows of published tasks."),
      page("docs/MODELS.md", "Models", "Families that work, and models from the hub or a folder."),
    ],
  },
  {
    name: "Choosing settings",
    entries: [
      page("docs/LEARNING.md", "Will it work?", "What runs learned, on which tasks, with which settings."),
      page("docs/READ_A_RUN.md", "Read a run", "What charts and numbers mean, and what to do about them."),
      page("docs/LEARNING_RATE.md", "Learning rate", "How it is chosen, and what helps a run that is stuck."),
      page("docs/METHODS.md", "Methods", "All weights, only the head, LoRA or a prefix."),
      page("docs/OBJECTIVES.md", "Objectives", "Accuracy or F1 instead of the loss."),
    ],
  },
  {
    name: "Serving",
    entries: [
      page("docs/SERVING.md", "Asking models", "Answers by GraphQL and by OpenAI's protocol."),
      page("docs/CLIENT.md", "From JavaScript", "The client library, and the library that reads logs."),
      page("docs/CLI.md", "From a shell", "Every command."),
    ],
  },
  {
    name: "Teams and other systems",
    entries: [
      page("docs/PROJECTS.md", "Projects and keys", "Several teams on one service: keys, scopes, quotas."),
      page("docs/WEBHOOKS.md", "Webhooks", "Being told of what happens."),
      page("docs/API.md", "API guide", "GraphQL: uploads, runs, streams, limits, errors, by example."),
    ],
  },
  {
    name: "Production",
    entries: [
      page("deploy/README.md", "Deploying", "Images, variables, several machines."),
      page("deploy/kubernetes/README.md", "Kubernetes", "Gateways, workers, and workers that sleep."),
      page("deploy/slurm/README.md", "Slurm", "Workers as jobs of a cluster."),
      page("docs/PRODUCTION.md", "In production", "Backups, upgrades, proxies, what to plan for."),
      page("docs/OPERATIONS.md", "Watching it", "Metrics, logs, traces, the audit log, alerts."),
      page("docs/TROUBLESHOOTING.md", "Troubleshooting", "By symptom: what is seen, why, what to do."),
      page("SECURITY.md", "Security", "What is promised, and how to report what is not kept."),
    ],
  },
  {
    name: "Devices and speed",
    entries: [
      page("docs/devices.md", "Devices", "What computes, and which to choose."),
      page("docs/GPU.md", "GPU", "What works on NVIDIA GPUs, and how to set it up."),
      page("docs/PERFORMANCE.md", "Performance", "What was measured, and how to measure it again."),
    ],
  },
  {
    name: "Reference",
    entries: [
      page("docs/SETTINGS.md", "Settings", "Every setting of a run, its range and its default."),
      made("reference-queries", "Queries", "What can be asked."),
      made("reference-mutations", "Mutations", "What can be done."),
      made("reference-subscriptions", "Subscriptions", "What can be followed."),
      made("reference-types", "Types", "What answers are made of."),
      made("reference-enums", "Enums", "Values with names."),
      made("reference-inputs", "Inputs and scalars", "What arguments are made of."),
      made("reference-errors", "Errors", "Every code, and when it is sent."),
      page("docs/STEP_LOG.md", "The step log", "The format, exact enough for another implementation."),
    ],
  },
  {
    name: "Changes and reasons",
    entries: [
      page("CHANGELOG.md", "Changelog", "What changed."),
      made("decisions", "Decisions", "Why it is as it is, with what was tried and left."),
      page("docs/design/dashboard.md", "The page's design", "What each view of the web page is for."),
      page("docs/design/review.md", "The page, looked at", "What was unclear in its pictures, and what became of it."),
    ],
  },
];

export function page(source: string, name: string, wants = ""): Entry {
  return { source, slug: slugOf(source), name, wants };
}

function made(slug: string, name: string, wants: string): Entry {
  return { source: null, slug, name, wants };
}

/** "docs/YOUR_DATA.md" is your-data, "deploy/slurm/README.md" is deploy-slurm. */
export function slugOf(source: string): string {
  return source
    .replace(/^docs\//u, "")
    .replace(/(?:(?<=.)\/README)?\.md$/u, "")
    .replaceAll(/[/_]/gu, "-")
    .toLowerCase();
}
