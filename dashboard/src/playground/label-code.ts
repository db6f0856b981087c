/**
 * The choice among labels by the OpenAI protocol, which has no request for it: each label is written after the text, the service
 * scores what it is sent (echo, and no token of its own), and the label whose tokens are likeliest on average is the answer.
 */
import type { ClassifyInput } from "../../../client/schema-types.ts";
import { baseUrl } from "../base.ts";

const json = (value: unknown) => JSON.stringify(value);
const nameOf = ({ model }: ClassifyInput) => ("name" in model ? model.name : null);

export function choiceInPython(input: ClassifyInput): string {
  const { prompts, labels, calibrationPrompt } = input;
  return `import os
from openai import OpenAI

client = OpenAI(
    base_url=${json(`${baseUrl}/v1`)},
    api_key=os.environ.get("STEPLOG_API_TOKEN", "none"),
)
labels = ${json(labels)}


def scores(prompt):
    """Of each label, the mean log-probability of its tokens after the prompt."""
    answer = client.completions.create(
        model=${json(nameOf(input))},
        prompt=[prompt + label for label in labels],
        echo=True,
        logprobs=0,
        max_tokens=0,
    )
    start = len(prompt.encode("utf-16-le")) // 2  # As text_offset counts.
    found = []
    for choice in answer.choices:
        logs = choice.logprobs
        own = [log for log, at in zip(logs.token_logprobs, logs.text_offset) if at >= start]
        found.append(sum(own) / len(own))
    return found


found = scores(${json(prompts?.[0])})
${
  calibrationPrompt == null
    ? ""
    : `empty = scores(${json(calibrationPrompt)})
found = [own - without for own, without in zip(found, empty)]
`
}print(labels[found.index(max(found))], dict(zip(labels, found)))
`;
}

export function choiceInNode(input: ClassifyInput): string {
  const { prompts, labels, calibrationPrompt } = input;
  const calibrated = calibrationPrompt != null;
  return `import OpenAI from "openai";

const openai = new OpenAI({
  baseURL: ${json(`${baseUrl}/v1`)},
  apiKey: process.env.STEPLOG_API_TOKEN ?? "none",
});
const labels = ${json(labels)};

// Of each label, the mean log-probability of its tokens after the prompt.
async function scores(prompt) {
  const { choices } = await openai.completions.create({
    model: ${json(nameOf(input))},
    prompt: labels.map((label) => prompt + label),
    echo: true,
    logprobs: 0,
    max_tokens: 0,
  });
  return choices.map(({ logprobs }) => {
    const own = logprobs.token_logprobs.filter((_, index) => logprobs.text_offset[index] >= prompt.length);
    return own.reduce((sum, log) => sum + log, 0) / own.length;
  });
}

${calibrated ? "const own" : "const found"} = await scores(${json(prompts?.[0])});
${
  calibrated
    ? `const empty = await scores(${json(calibrationPrompt)});
const found = own.map((score, index) => score - empty[index]);
`
    : ""
}console.log(labels[found.indexOf(Math.max(...found))], Object.fromEntries(labels.map((label, at) => [label, found[at]])));
`;
}
