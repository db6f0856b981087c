/** The Dockerfile keeps the rules for Dockerfiles; each rule can fail; and compose.yaml asks for images that it makes. */
import { readFileSync } from "node:fs";
import { validate } from "dockerfile-utils";
import { describe, expect, test } from "vitest";
import { readDockerfile, wholeStage } from "./image/dockerfile.ts";
import { checkRules } from "./image/rules.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const dockerfile = read("Dockerfile");
const stages = readDockerfile(dockerfile);

/** The codes of what is wrong with a stage of these steps. */
const codesOf = (...steps: string[]) =>
  checkRules(readDockerfile(["FROM node:22 AS one", ...steps].join("\n"))).map((text) => text.split(" ")[1]);

test("the Dockerfile is one that Docker accepts, and keeps the rules", () => {
  expect(validate(dockerfile)).toEqual([]);
  expect(checkRules(stages)).toEqual([]);
});

const images = ["gateway", "worker", "worker-gpu", "steplog"];

describe.each(images)("the image %s", (name) => {
  const { steps, image } = wholeStage(stages, name);
  const last = (keyword: string) => steps.findLast((step) => step.keyword === keyword);

  test("does not run as root, and is started by tini", () => {
    expect(image).toMatch(/^node:\d+-bookworm-slim$/u);
    expect(last("USER")?.text).toBe("1000:1000");
    expect(last("ENTRYPOINT")?.words?.slice(0, 2)).toEqual(["tini", "--"]);
  });

  test("has no compiler, and is not built by npm or pip itself", () => {
    const runs = steps.filter((step) => step.keyword === "RUN").map(({ text }) => text);
    expect(runs.join("\n")).toContain("install -y --no-install-recommends tini");
    expect(runs.join("\n")).not.toMatch(/g\+\+|npm|pip|device install/u);
  });

  test("has a label with this version", () => {
    const { version } = JSON.parse(read("package.json")) as { version: string };
    expect(labelsOf(name).get("org.opencontainers.image.version")).toBe(version);
  });
});

test("images have a title each", () => {
  expect(new Set(images.map((name) => labelsOf(name).get("org.opencontainers.image.title"))).size).toBe(images.length);
});

function labelsOf(name: string): Map<string, string> {
  const labels = wholeStage(stages, name).steps.filter(({ keyword }) => keyword === "LABEL");
  return new Map(labels.flatMap((step) => step.pairs));
}

test("compose.yaml builds targets that there are, and names an image after each", () => {
  const compose = read("deploy/compose.yaml");
  const targets = [...compose.matchAll(/target: (?<target>\S+)/gu)].map(({ groups }) => groups?.["target"] ?? "");
  expect(targets.toSorted()).toEqual(["gateway", "worker", "worker-gpu"]);
  for (const target of targets) {
    expect(stages.map(({ name }) => name)).toContain(target);
    expect(compose).toContain(`image: steplog-${target}\n`);
  }
});

describe("each rule can fail", () => {
  test.each([
    ["DL3000", "WORKDIR app"],
    ["DL3001", "RUN vim x"],
    ["DL3002", "USER 0:0"],
    ["DL3003", "RUN cd /app && ls"],
    ["DL3004", "RUN sudo ls"],
    ["DL3005", "RUN apt-get dist-upgrade"],
    ["DL3008", "RUN apt-get install -y --no-install-recommends tini"],
    ["DL3009", "RUN apt-get update && apt-get install -y --no-install-recommends tini=1"],
    ["DL3011", "EXPOSE 70000"],
    ["DL3012", "HEALTHCHECK NONE\nHEALTHCHECK NONE"],
    ["DL3013", "RUN pip install --no-cache-dir numpy"],
    ["DL3014", "RUN apt-get install --no-install-recommends tini=1"],
    ["DL3015", "RUN apt-get install -y tini=1"],
    ["DL3016", "RUN npm install -g yarn"],
    ["DL3020", "ADD file /app/"],
    ["DL3021", "COPY a b /app"],
    ["DL3022", "COPY --from=two /a /b"],
    ["DL3023", "COPY --from=one /a /b"],
    ["DL3025", "CMD node server.js"],
    ["DL3027", "RUN apt install tini"],
    ["DL3042", "RUN pip install numpy==2.0.0"],
    ["DL3044", "ENV A=1 B=$A"],
    ["DL3045", "COPY a b"],
    ["DL3048", "LABEL Title=x"],
    ["DL3051", 'LABEL title=""'],
    ["DL3059", "RUN a\nRUN b"],
    ["DL3067", "COPY --from=one / /x"],
    ["DL4000", "MAINTAINER me"],
    ["DL4003", 'CMD ["a"]\nCMD ["b"]'],
    ["DL4004", 'ENTRYPOINT ["a"]\nENTRYPOINT ["b"]'],
    ["DL4006", "RUN a | b"],
  ])("%s: %s", (code, step) => {
    expect(codesOf(step)).toContain(code);
  });

  test.each([
    ["DL3006", "node AS one"],
    ["DL3007", "node:latest AS one"],
    ["DL3024", "node:22 AS one\nFROM node:22 AS one"],
    ["DL3063", "node:22 AS context"],
  ])("%s: FROM %s", (code, from) => {
    expect(checkRules(readDockerfile(`FROM ${from}`)).join("\n")).toContain(code);
  });

  test("a rule is ignored for one step, with a reason", () => {
    expect(codesOf("# hadolint ignore=DL3000 # a reason", "WORKDIR app")).toEqual([]);
    expect(codesOf("# hadolint ignore=DL3001 # a reason", "WORKDIR app")).toEqual(["DL3000"]);
    expect(codesOf("# hadolint ignore=DL3000", "WORKDIR app")).toEqual(["say"]);
  });
});
