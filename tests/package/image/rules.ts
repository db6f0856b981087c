/**
 * Rules for Dockerfiles, by the numbers that hadolint gave them (https://github.com/hadolint/hadolint): those that a
 * Dockerfile on Debian with npm can break and a program can check. What Docker itself refuses is dockerfile-utils' task,
 * and the shell of RUN is shellcheck's.
 */
import { commandsOf, wholeStage, type Stage, type Step } from "./dockerfile.ts";

interface Rule {
  readonly code: string;
  readonly advice: string;
  /** The lines that break it. */
  readonly find: (stages: readonly Stage[]) => readonly number[];
}

/** @returns what is wrong, one text each, in the order of the lines; empty for a clean file */
export function checkRules(stages: readonly Stage[]): string[] {
  const steps = stages.flatMap((stage) => stage.steps);
  const ignoredAt = new Map(steps.map(({ line, ignored }) => [line, ignored.rules]));
  const found = rules.flatMap(({ code, advice, find }) =>
    find(stages).flatMap((line) => (ignoredAt.get(line)?.includes(code) ? [] : [{ line, text: `${code} ${advice}` }])),
  );
  return [...found, ...unexplained(steps)]
    .toSorted((a, b) => a.line - b.line)
    .map(({ line, text }) => `Dockerfile:${line}: ${text}`);
}

/** An exception is a decision, and so gives its reason. */
const unexplained = (steps: readonly Step[]) =>
  steps
    .filter(({ ignored }) => ignored.rules.length > 0 && ignored.reason.trim() === "")
    .map(({ line }) => ({ line, text: "say why the rule is ignored: # hadolint ignore=DL... # why" }));

const notForContainers = new Set("ssh vim shutdown service ps free top kill mount ifconfig".split(" "));

/** A rule about single steps. */
const steps = (code: string, advice: string, breaks: (step: Step) => boolean): Rule => ({
  code,
  advice,
  find: (stages) => stages.flatMap((stage) => stage.steps.filter(breaks).map(({ line }) => line)),
});

/** A rule about the commands of RUN. */
const commands = (code: string, advice: string, breaks: (words: readonly string[], run: Step) => boolean): Rule =>
  steps(code, advice, (step) => isRun(step) && commandsOf(step).some((words) => breaks(words, step)));

/** A rule about what may be in a stage once. */
const once = (code: string, keyword: string): Rule => ({
  code,
  advice: `a stage has one ${keyword} at most.`,
  find: (stages) =>
    stages.flatMap((stage) =>
      stage.steps
        .filter((step) => step.keyword === keyword)
        .slice(1)
        .map(({ line }) => line),
    ),
});

/** A rule about a step and the stages before its own. */
const inStages = (
  code: string,
  advice: string,
  breaks: (step: Step, stage: Stage, before: readonly Stage[]) => boolean,
) =>
  ({
    code,
    advice,
    find: (stages) =>
      stages.flatMap((stage, index) =>
        stage.steps.filter((step) => breaks(step, stage, stages.slice(0, index))).map(({ line }) => line),
      ),
  }) satisfies Rule;

/** A rule about FROM. */
const froms = (code: string, advice: string, breaks: (stage: Stage, before: readonly Stage[]) => boolean): Rule => ({
  code,
  advice,
  find: (stages) => stages.filter((stage, index) => breaks(stage, stages.slice(0, index))).map(({ line }) => line),
});

const isRun = (step: Step) => step.keyword === "RUN";
const isCopy = (step: Step) => step.keyword === "COPY";
const flagOf = (step: Step, name: string) => step.flags.find((flag) => flag.name === name)?.value;
const targetOf = ({ text }: Step) => text.split(/\s+/u).at(-1) ?? "";
const installs = (words: readonly string[], program: string) => words[0] === program && words.includes("install");
const packagesOf = (words: readonly string[]) =>
  words.slice(words.indexOf("install") + 1).filter((word) => !word.startsWith("-"));
const isStage = (name: string, stages: readonly Stage[]) => stages.some((stage) => stage.name === name);
const mountsCache = (step: Step, folder: string) =>
  step.flags.some(
    ({ name, value }) => name === "mount" && value.includes("type=cache") && value.includes(`=${folder}`),
  );

const rules: readonly Rule[] = [
  steps("DL3000", "WORKDIR is absolute.", (step) => step.keyword === "WORKDIR" && !/^[/$]/u.test(step.text)),
  commands("DL3001", "this program makes no sense in a container.", ([program = ""]) => notForContainers.has(program)),
  {
    code: "DL3002",
    advice: "the last USER of a stage is not root.",
    find: (stages) =>
      stages.flatMap((stage) => {
        const last = stage.steps.findLast((step) => step.keyword === "USER");
        return last !== undefined && /^(?:root|0)(?::|$)/u.test(last.text) ? [last.line] : [];
      }),
  },
  commands("DL3003", "use WORKDIR instead of cd.", ([program]) => program === "cd"),
  commands("DL3004", "no sudo.", ([program]) => program === "sudo"),
  commands(
    "DL3005",
    "no dist-upgrade: take a newer base image.",
    (words) => words[0] === "apt-get" && words.includes("dist-upgrade"),
  ),
  froms(
    "DL3006",
    "give the image a tag.",
    ({ base }, before) => base !== "scratch" && !isStage(base, before) && !/[:@]/u.test(base),
  ),
  froms("DL3007", "latest is another image tomorrow.", ({ base }) => base.endsWith(":latest")),
  commands(
    "DL3008",
    "pin the versions of packages.",
    (words) => installs(words, "apt-get") && packagesOf(words).some((name) => !name.includes("=")),
  ),
  steps(
    "DL3009",
    "delete the package lists: rm -rf /var/lib/apt/lists/*",
    (step) =>
      isRun(step) &&
      step.text.includes("apt-get update") &&
      !step.text.includes("rm -rf /var/lib/apt/lists/*") &&
      !mountsCache(step, "/var/lib/apt"),
  ),
  steps(
    "DL3011",
    "ports are from 0 to 65535.",
    (step) => step.keyword === "EXPOSE" && step.text.split(/\s+/u).some((port) => Number.parseInt(port, 10) > 65_535),
  ),
  once("DL3012", "HEALTHCHECK"),
  commands(
    "DL3013",
    "pin the versions of pip's packages.",
    (words) =>
      installs(words, "pip") && !words.includes("-r") && packagesOf(words).some((name) => !/[=<>@/]/u.test(name)),
  ),
  commands(
    "DL3014",
    "apt-get install needs -y.",
    (words) =>
      installs(words, "apt-get") && !words.some((word) => /^(?:-[a-z]*y[a-z]*|--yes|--assume-yes|-qq)$/u.test(word)),
  ),
  commands(
    "DL3015",
    "apt-get install needs --no-install-recommends.",
    (words) => installs(words, "apt-get") && !words.includes("--no-install-recommends"),
  ),
  commands(
    "DL3016",
    "pin the versions of npm's packages.",
    (words) => installs(words, "npm") && packagesOf(words).some((name) => !/.@|^[./]/u.test(name)),
  ),
  steps(
    "DL3020",
    "COPY files instead of ADD.",
    (step) => step.keyword === "ADD" && !/^(?:https?:|git@)|\.(?:tar|t?gz|xz|bz2)\s/u.test(step.text),
  ),
  steps(
    "DL3021",
    "COPY of several files: the target ends with /",
    (step) => isCopy(step) && step.text.split(/\s+/u).length > 2 && !targetOf(step).endsWith("/"),
  ),
  inStages("DL3022", "COPY --from names an earlier stage.", (step, _, before) => {
    const from = isCopy(step) ? flagOf(step, "from") : undefined;
    return from !== undefined && !isStage(from, before);
  }),
  inStages(
    "DL3023",
    "COPY --from names another stage.",
    (step, stage) => isCopy(step) && flagOf(step, "from") === stage.name,
  ),
  froms("DL3024", "names of stages are unique.", ({ name }, before) => isStage(name, before)),
  steps(
    "DL3025",
    "write it as a JSON array.",
    (step) => (step.keyword === "CMD" || step.keyword === "ENTRYPOINT") && step.words === null,
  ),
  commands("DL3027", "apt is for people: use apt-get.", ([program]) => program === "apt"),
  commands(
    "DL3042",
    "pip keeps a cache in the layer: --no-cache-dir, or a cache mount.",
    (words, run) =>
      installs(words, "pip") && !words.includes("--no-cache-dir") && !mountsCache(run, "/root/.cache/pip"),
  ),
  steps(
    "DL3044",
    "a variable is not known within the ENV that sets it.",
    ({ keyword, pairs }) =>
      keyword === "ENV" &&
      pairs.some(([, value]) => pairs.some(([name]) => new RegExp(`\\$\\{?${name}\\b`, "u").test(value))),
  ),
  {
    code: "DL3045",
    advice: "a relative target needs a WORKDIR.",
    find: (stages) =>
      stages.flatMap((stage) => {
        const { steps: all } = wholeStage(stages, stage.name);
        const start = all.findIndex((step) => step.keyword === "WORKDIR");
        const early = start === -1 ? all : all.slice(0, start);
        return early.filter((step) => isCopy(step) && !/^[/$]/u.test(targetOf(step))).map(({ line }) => line);
      }),
  },
  steps(
    "DL3048",
    "keys of labels are dotted words in small letters.",
    ({ keyword, pairs }) => keyword === "LABEL" && pairs.some(([name]) => !/^[a-z0-9]+(?:[.-][a-z0-9]+)*$/u.test(name)),
  ),
  steps(
    "DL3051",
    "a label says something.",
    ({ keyword, pairs }) => keyword === "LABEL" && pairs.some(([, value]) => value === ""),
  ),
  {
    code: "DL3059",
    advice: "join RUN instructions that follow each other.",
    find: (stages) =>
      stages.flatMap((stage) =>
        stage.steps.flatMap((step, index) => {
          const before = stage.steps[index - 1];
          const apart =
            before === undefined || !isRun(before) || !isRun(step) || before.flags.length + step.flags.length > 0;
          return apart || commandsOf(step).length > 2 || commandsOf(before).length > 2 ? [] : [step.line];
        }),
      ),
  },
  froms("DL3063", "this name means something else to Docker.", ({ name }) => name === "scratch" || name === "context"),
  steps(
    "DL3067",
    "do not copy the whole of a stage.",
    (step) => isCopy(step) && flagOf(step, "from") !== undefined && step.text.split(/\s+/u)[0] === "/",
  ),
  steps("DL4000", "MAINTAINER is gone: use LABEL.", (step) => step.keyword === "MAINTAINER"),
  once("DL4003", "CMD"),
  once("DL4004", "ENTRYPOINT"),
  steps(
    "DL4006",
    "a pipe hides failures: SHELL with pipefail, or no pipe.",
    (step) => isRun(step) && /[^|]\|[^|]/u.test(step.text),
  ),
];
