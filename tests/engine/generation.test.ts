/** A text from tokens: what may be shown, when it ends, how likely it was, and that seeds mean what they always meant. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { loadTokenizer } from "../../dataset/tokenizer.ts";
import { logProbabilities } from "../../engine/generation/logprobs.ts";
import type { Sampling } from "../../engine/generation/sampling.ts";
import { sampler } from "../../engine/generation/sampling.ts";
import { StopStrings } from "../../engine/generation/stops.ts";
import { TextStream, findHalfCharacter } from "../../engine/generation/text-stream.ts";
import { topTokens } from "../../engine/generation/top-tokens.ts";
import { Writer } from "../../engine/generation/writer.ts";
import { Philox, streams } from "../../engine/numbers/noise.ts";
import { golden } from "../support/models.ts";

const someLogits = fc.float32Array({ minLength: 1, maxLength: 60, min: -30, max: 30, noNaN: true });
/** With many equal values. */
const tiedLogits = fc
  .array(fc.constantFrom(-Infinity, -1, 0, 0.5, 3), { minLength: 1, maxLength: 60 })
  .map((values) => Float32Array.from(values));
const anyLogits = fc.oneof(someLogits, tiedLogits);

describe("a seed", () => {
  test("draws what sorting the whole vocabulary draws", () => {
    const options = fc.record(
      {
        temperature: fc.constantFrom(0.2, 0.7, 1, 3),
        topK: fc.integer({ min: 1, max: 70 }),
        topP: fc.double({ min: 0.01, max: 1, noNaN: true }),
        seed: fc.nat(),
      },
      { requiredKeys: ["temperature", "seed"] },
    );
    fc.assert(
      fc.property(anyLogits, options, (logits, sampling) => {
        const choose = sampler(sampling);
        for (let t = 0; t < 4; t++) expect(choose(logits)).toBe(plainDraw(logits, sampling, t));
      }),
      { numRuns: 400 },
    );
  });

  test("draws the same where only some of a large vocabulary need sorting", () => {
    const logits = Float32Array.from({ length: 6000 }, (_, i) => Math.round(40 * Math.sin(i * i)) / 4);
    for (const temperature of [0.3, 1, 30])
      for (const topP of [0.05, 0.5, 0.9, 0.999]) {
        const sampling = { temperature, topP, seed: 2 };
        const choose = sampler(sampling);
        for (let t = 0; t < 5; t++) expect(choose(logits)).toBe(plainDraw(logits, sampling, t));
      }
  });

  test("goes on after tokens that are known as it would have, for each choice", () => {
    const sampling = { temperature: 1.5, topP: 0.9, repetitionPenalty: 1.3, frequencyPenalty: 0.4, seed: 11 };
    const logits = Float32Array.from({ length: 50 }, (_, i) => Math.sin(i));
    const texts = [0, 1, 2].map((choice) => {
      const choose = sampler(sampling, { prompt: [3], choice });
      const whole = Array.from({ length: 12 }, () => choose(logits));
      const rest = sampler(sampling, { prompt: [3], choice, written: whole.slice(0, 5) });
      expect(Array.from({ length: 7 }, () => rest(logits))).toStrictEqual(whole.slice(5));
      return whole.join();
    });
    expect(new Set(texts).size).toBe(3);
  });
});

/** Every token as an object, all of them sorted: what the releases before drew. */
function plainDraw(logits: Float32Array, sampling: Sampling, t: number): number {
  const { temperature, topP = 1, seed } = sampling;
  const topK = sampling.topK ?? logits.length;
  const highest = Math.max(...logits);
  if (highest === -Infinity) return 0;
  const words = new Uint32Array(4);
  new Philox(BigInt(seed), 0, streams.sampling).blocks(t, 1, words);
  const at = (((words[0] ?? 0) >>> 5) * 2 ** 26 + ((words[1] ?? 0) >>> 6)) / 2 ** 53;
  const all = Array.from(logits, (logit, token) => ({ token, weight: Math.exp((logit - highest) / temperature) }));
  const sum = (of: typeof all) => of.reduce((total, { weight }) => total + weight, 0);
  let tokens = all;
  if (topK < logits.length || topP < 1) {
    const sorted = all.toSorted((a, b) => b.weight - a.weight).slice(0, topK);
    const enough = topP * sum(topK < logits.length ? sorted : all);
    let reached = 0;
    const last = sorted.findIndex(({ weight }) => (reached += weight) >= enough);
    tokens = last < 0 ? sorted : sorted.slice(0, last + 1);
  }
  const total = sum(tokens);
  let reached = 0;
  const possible = tokens.filter(({ weight }) => weight > 0);
  return (possible.find(({ weight }) => at * total < (reached += weight)) ?? possible.at(-1))?.token ?? 0;
}

describe("what changes logits", () => {
  const greedy = { temperature: 0, seed: 0 };
  const logits = Float32Array.of(2, 1.5, -1, 0);

  test("min-p leaves out what is less likely than its share of the likeliest", () => {
    const choose = sampler({ temperature: 1, minP: 0.2, seed: 3 });
    const drawn = new Set(Array.from({ length: 400 }, () => choose(logits)));
    // exp(-0.5) is 0.61, exp(-2) is 0.14.
    expect([...drawn].toSorted((a, b) => a - b)).toStrictEqual([0, 1]);
    for (const more of [{ topK: 3 }, { topP: 0.999 }]) {
      const narrowed = sampler({ temperature: 1, minP: 0.2, seed: 3, ...more });
      expect(Math.max(...Array.from({ length: 400 }, () => narrowed(logits)))).toBe(1);
    }
  });

  test("a repetition penalty lowers positive and negative logits of prompt and text", () => {
    const choose = sampler({ ...greedy, repetitionPenalty: 4 }, { prompt: [0] });
    // 2 / 4, then 1.5 / 4; of the rest, 0 stays 0.
    expect([choose(logits), choose(logits), choose(logits)]).toStrictEqual([1, 0, 0]);
    const negative = sampler({ ...greedy, repetitionPenalty: 4 }, { prompt: [0] });
    expect(negative(Float32Array.of(-1, -3))).toBe(1);
  });

  test("presence counts a token of the text once, frequency each time, the prompt never", () => {
    const presence = sampler({ ...greedy, presencePenalty: 0.6 }, { prompt: [0, 0] });
    expect(Array.from({ length: 4 }, () => presence(logits))).toStrictEqual([0, 1, 0, 0]);
    const frequency = sampler({ ...greedy, frequencyPenalty: 0.6 }, { prompt: [0, 0] });
    expect(Array.from({ length: 5 }, () => frequency(logits))).toStrictEqual([0, 1, 0, 1, 0]);
  });

  test("a bias comes before the penalties, and one of a token that there is not changes nothing", () => {
    const logitBias = [
      [3, 5],
      [9, 100],
    ] as const;
    expect(sampler({ ...greedy, logitBias, repetitionPenalty: 2 }, { prompt: [3] })(logits)).toBe(3);
    expect(sampler({ ...greedy, logitBias, repetitionPenalty: 5 }, { prompt: [3] })(logits)).toBe(0);
    expect([...logits]).toStrictEqual([2, 1.5, -1, 0]);
  });
});

test("the k likeliest are those that sorting gives", () => {
  fc.assert(
    fc.property(anyLogits, fc.integer({ min: 1, max: 70 }), (logits, k) => {
      const sorted = [...logits.keys()].toSorted((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b);
      expect(topTokens(logits, k)).toStrictEqual(sorted.slice(0, k));
    }),
  );
});

test("log-probabilities are those of the model's distribution", () => {
  const shares = [0.1, 0.6, 0.3];
  const { token, logProbability, top } = logProbabilities(
    Float32Array.from(shares, (p) => 50 + Math.log(p)),
    0,
    2,
  );
  expect([token, logProbability]).toStrictEqual([0, expect.closeTo(Math.log(0.1), 5)]);
  expect(top).toStrictEqual([
    { token: 1, logProbability: expect.closeTo(Math.log(0.6), 5) as number },
    { token: 2, logProbability: expect.closeTo(Math.log(0.3), 5) as number },
  ]);
});

describe.each(["bytelevel-gpt2", "bytelevel-qwen2", "spm-llama", "spm-gemma", "spm-metaspace"])(
  "the text of tokens of %s, one after the other",
  async (kind) => {
    const tokenizer = await loadTokenizer(golden("tokenizers", kind));
    const decode = (tokens: readonly number[]) => tokenizer.decode(tokens);
    const halfCharacter = await findHalfCharacter((text) => tokenizer.encodeMore(text), decode);

    const pieces = async (tokens: readonly number[]) => {
      const stream = new TextStream({ decode, halfCharacter });
      const texts: string[] = [];
      for (const token of tokens) texts.push(await stream.push(token));
      return [...texts, await stream.end()];
    };

    test("is that of all of them at once, in whole characters", async () => {
      const character = fc.nat(0x1ffff).map((code) => String.fromCodePoint(code).toWellFormed());
      const text = fc.array(character, { maxLength: 12 }).map((characters) => characters.join(""));
      const words = fc.constantFrom(
        "the soup was\n\n",
        " 12.5 ",
        "\u00e9t\u00e9 ",
        "\u{1f600}\u{1f468}\u200d",
        "a  b",
        "\n",
      );
      const tokens = fc.oneof(
        fc.array(fc.nat(700), { maxLength: 40 }),
        fc.array(fc.oneof(text, words), { maxLength: 4 }).map((parts) => tokenizer.encodeStart(parts.join(""))),
      );
      await fc.assert(
        fc.asyncProperty(tokens, async (ids) => {
          const found = await pieces(ids);
          expect(found.join("")).toBe(decode(ids));
          expect(found.every((piece) => piece.isWellFormed())).toBe(true);
        }),
        { numRuns: 60 },
      );
    });

    test("comes as soon as it is certain", async () => {
      const ids = tokenizer.encodeMore("The soup was stale");
      const found = await pieces(ids);
      expect(found.slice(0, -1).filter((piece) => piece === "").length).toBeLessThanOrEqual(1);
      expect(found.at(-1)).toBe("");
    });
  },
);

test("a run of broken characters is held back, and costs no more the longer it is", async () => {
  let decoded = 0;
  const decode = (tokens: readonly number[]) => {
    decoded += tokens.length;
    return "\ufffd".repeat(tokens.length);
  };
  const stream = new TextStream({ decode, halfCharacter: null });
  for (let i = 0; i < 1000; i++) expect(await stream.push(7)).toBe("");
  expect(await stream.end()).toBe("\ufffd".repeat(1000));
  expect(decoded).toBeLessThan(20_000);
});

describe("stop strings", () => {
  test("end the text in the same place wherever it is cut", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "\u{1f600}"), maxLength: 12 });
    const stop = fc.string({ unit: fc.constantFrom("a", "b", "\u{1f600}"), minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(letters, fc.array(stop, { minLength: 1, maxLength: 4 }), (text, stops) => {
        const oneByOne = new StopStrings(stops);
        let shown = "";
        let stopped = false;
        for (const letter of text) {
          const piece = oneByOne.push(letter);
          shown += piece.text;
          stopped = piece.stopped;
          if (stopped) break;
        }
        const whole = new StopStrings(stops);
        const atOnce = whole.push(text);
        expect([stopped, shown + oneByOne.end()]).toStrictEqual([atOnce.stopped, atOnce.text + whole.end()]);
        expect(stopped).toBe(stops.some((one) => text.includes(one)));
        expect(stops.some((one) => (shown + oneByOne.end()).includes(one))).toBe(false);
      }),
    );
  });

  test("hold back no more than what may begin one", () => {
    const stops = new StopStrings(["\n\nQ:", "END"]);
    expect(stops.push("It is so.\n").text).toBe("It is so.");
    expect(stops.push("E").text).toBe("\n");
    expect(stops.push("N").text).toBe("");
    expect(stops.push("Q ").text).toBe("ENQ ");
  });
});

describe("a text", () => {
  const letters = "abcdefg";
  const decode = (tokens: readonly number[]) => tokens.map((token) => letters[token] ?? "").join("");
  const options = { maxTokens: 5, endOfSequence: [6], decoding: { decode, halfCharacter: null } };
  const writing = async (tokens: readonly number[], more: object = {}) => {
    let at = 0;
    const writer = new Writer({ ...options, choose: () => tokens[at++] ?? 0, ...more });
    const pieces = [];
    while (writer.finish === null) pieces.push(await writer.take(new Float32Array(7)));
    return { writer, text: pieces.map(({ text }) => text).join("") };
  };

  test("ends with an end-of-sequence token, which it does not show", async () => {
    const { writer, text } = await writing([0, 1, 6, 2]);
    expect([writer.finish, text, writer.tokens]).toStrictEqual(["END", "ab", [0, 1, 6]]);
  });

  test("ends before a stop string, and else shows what might have begun one", async () => {
    const { writer, text } = await writing([0, 1, 2, 3], { stop: ["bcd"] });
    expect([writer.finish, text]).toStrictEqual(["STOP", "a"]);
    const long = await writing([0, 0, 0, 1, 2], { stop: ["bcd"] });
    expect([long.writer.finish, long.text]).toStrictEqual(["LENGTH", "aaabc"]);
  });
});
