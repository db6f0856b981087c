/** A project with a key, a webhook, runs, completions and datasets, as its people see them while everything else is killed. */
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished } from "vitest";
import { type CreateCompletionInput, type FineTune, SteplogClient } from "../../client/index.ts";
import { type Received, type Receiver, startReceiver } from "../server/webhook-receiver.ts";
import { collectSteps } from "./follow.ts";
import { until } from "./service.ts";

export interface TenantOptions {
  readonly url: string;
  /** The operator's. */
  readonly token: string;
  readonly name: string;
  readonly seed: number;
  readonly steps: number;
}

export interface TrainChanges {
  readonly steps?: number;
  /** Of training; 0, or left out, for no bound. */
  readonly maxSeconds?: number;
}

/** What a run is in the end, to the last bit. */
export interface Result {
  readonly log: Buffer;
  readonly digest: string | null;
}

const pauseMs = 400;
/** As long as the model's context lets it be. */
export const answerTokens = 500;

export class Tenant {
  readonly client: SteplogClient;
  readonly project: string;
  /** Subscribers of runs, by run. */
  readonly following = new Map<string, { readonly seen: number[]; readonly done: Promise<void> }>();
  /** Datasets of acknowledged mutations. */
  readonly datasets: string[] = [];
  /** Tokens of streamed answers that have ended. */
  readonly answers: string[] = [];
  /** The same of a checkpoint that another tenant shares. */
  readonly borrowed: string[] = [];
  /** Webhooks that came; a signature of another secret ends the test. */
  readonly received: readonly Received[];
  /** How often each was acknowledged, by its id. */
  readonly acknowledged: ReadonlyMap<string, number>;
  /** Mutations that were not acknowledged. */
  failures = 0;
  readonly #options: TenantOptions;
  #dataset = "";
  #lent: string | null = null;

  private constructor(
    options: TenantOptions,
    project: string,
    key: string,
    { received }: Receiver,
    { acknowledged }: Moods,
  ) {
    this.#options = options;
    this.project = project;
    this.client = new SteplogClient({ url: options.url, token: key });
    this.received = received;
    this.acknowledged = acknowledged;
  }

  static async create(options: TenantOptions): Promise<Tenant> {
    const operator = new SteplogClient({ url: options.url, token: options.token });
    const { name } = options;
    const { createProject: project } = await operator.query<{ createProject: { id: string } }>(
      "mutation ($name: String!) { createProject(name: $name) { id } }",
      { name },
    );
    const scopes = ["READ", "WRITE", "TRAIN", "INFER", "ADMIN"];
    const { createApiKey: made } = await operator.query<{ createApiKey: { key: string } }>(
      "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { key } }",
      { input: { name, project: project.id, scopes } },
    );
    const receiver = await startReceiver();
    onTestFinished(() => receiver.close());
    const moods = moodsOf();
    receiver.answer = moods.answer;
    const tenant = new Tenant(options, project.id, made.key, receiver, moods);
    const { createWebhook: hook } = await tenant.client.query<{ createWebhook: { secret: string } }>(
      "mutation ($url: String!) { createWebhook(input: { url: $url }) { secret } }",
      { url: receiver.url },
    );
    receiver.secret = hook.secret;
    tenant.#dataset = await tenant.#addDataset("rows");
    return tenant;
  }

  /** The last one is what counts: with the key, a repeated request makes no second run. */
  async train(key: string, { maxSeconds = 0, steps = this.#options.steps }: TrainChanges = {}): Promise<string> {
    const { seed } = this.#options;
    const { id } = await this.#insist(() =>
      this.client.createFineTune({
        name: key,
        idempotencyKey: key,
        baseModel: "tiny",
        dataset: this.#dataset,
        keepWeights: true,
        hyperparameters: { steps, batchSize: 16, learningRate: 1e-4, weightDecay: 0.01, seed, maxSeconds },
      }),
    );
    this.following.set(id, collectSteps(this.client, id));
    return id;
  }

  /** Lets another tenant ask the last checkpoint of a run. */
  async lend(run: string, to: Tenant): Promise<void> {
    const [checkpoint] = (await this.client.fineTune(run)).checkpoints.nodes;
    const variables = { id: checkpoint?.id, project: to.project };
    const share = "mutation ($id: ID!, $project: ID!) { shareCheckpoint(id: $id, project: $project) { id } }";
    await this.client.query(share, variables);
    to.#lent = checkpoint?.id ?? null;
  }

  /** The tokens of an answer, piece by piece, from a subscriber that comes back with its cursor. */
  async answer(key: string): Promise<string> {
    return this.#answer(key, { model: { name: "long" }, maxTokens: answerTokens });
  }

  /** Of what was lent; as long as the tiny model's context lets it be. */
  async borrow(key: string): Promise<string> {
    return this.#answer(key, { model: { checkpoint: this.#lent ?? "" }, maxTokens: 20 });
  }

  async #answer(key: string, asked: Pick<CreateCompletionInput, "model" | "maxTokens">): Promise<string> {
    const { seed } = this.#options;
    const sampling = { tokens: [3, 4, seed], seed, topK: 40 };
    const { id } = await this.#insist(() =>
      this.client.createCompletion({ idempotencyKey: key, ...asked, ...sampling }),
    );
    const tokens: number[] = [];
    let [after, isOver] = [0, false];
    while (!isOver) {
      // It leaves after a few pieces, and comes back.
      let left = 40;
      isOver = true;
      for await (const { cursor, piece } of this.client.completionPieces(id, { after })) {
        expect(cursor).toBe(after + 1);
        expect(piece.firstToken).toBe(tokens.length);
        after = cursor;
        tokens.push(...(piece.tokens ?? []));
        left -= 1;
        isOver = left > 0;
        if (!isOver) break;
      }
    }
    const completion = await this.#insist(() => this.client.completion(id));
    expect(completion).toMatchObject({ status: "SUCCEEDED", error: null });
    expect(completion.choices[0]?.tokens).toEqual(tokens);
    return tokens.join(" ");
  }

  /** Answers and datasets, one after the other, until the signal. */
  async keepBusy(signal: AbortSignal): Promise<void> {
    const answers = async () => {
      for (let n = 0; !signal.aborted; n++) {
        const answer = await this.answer(`answer ${n}`).catch(unlessUnavailable);
        if (answer === null) this.failures += 1;
        else this.answers.push(answer);
        if (this.#lent === null) continue;
        const borrowed = await this.borrow(`borrowed ${n}`).catch(unlessUnavailable);
        if (borrowed === null) this.failures += 1;
        else this.borrowed.push(borrowed);
      }
    };
    const datasets = async () => {
      for (let n = 0; !signal.aborted; n++) {
        await this.#addDataset(`dataset ${n}`).catch(() => (this.failures += 1));
        await delay(pauseMs);
      }
    };
    await Promise.all([answers(), datasets()]);
  }

  async #addDataset(name: string): Promise<string> {
    const { seed } = this.#options;
    const rows = Array.from({ length: 20 }, (_, row) => {
      const ids = Array.from({ length: 8 }, (__, i) => (row * 7 + i * 11 + seed) % 64);
      return { input_ids: ids, labels: ids.map((id, i) => (i < 4 ? -100 : id)) };
    });
    const { id } = await this.client.createDataset({ name, rows });
    this.datasets.push(id);
    return id;
  }

  async ended(id: string): Promise<void> {
    const ended = async () => {
      const run = await this.#insist(() => this.client.fineTune(id));
      expect(run.error).toBeNull();
      return run.status === "SUCCEEDED" && run.checkpoints.nodes[0]?.weightsStatus === "STORED";
    };
    await until(`the end of ${id}`, 150_000, ended, () => this.following.get(id)?.seen.length ?? 0);
    await this.following.get(id)?.done;
  }

  async result(id: string): Promise<Result> {
    const [checkpoint] = (await this.client.fineTune(id)).checkpoints.nodes;
    const bytes = await (await this.client.download(checkpoint?.logUrl ?? "")).bytes();
    return { log: Buffer.from(bytes), digest: checkpoint?.weightsDigest ?? null };
  }

  /** Ids of what the project has, as its key sees them. */
  async things(): Promise<{ readonly runs: string[]; readonly datasets: string[] }> {
    const runs: FineTune[] = [...(await this.client.fineTunes({ first: 100 })).nodes] as FineTune[];
    const datasets: string[] = [];
    for (let after: string | null = null, more = true; more;) {
      const { datasets: page }: DatasetPage = await this.client.query<DatasetPage>(
        "query ($after: String) { datasets(first: 100, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }",
        { after },
      );
      datasets.push(...page.nodes.map(({ id }) => id));
      [after, more] = [page.pageInfo.endCursor, page.pageInfo.hasNextPage];
    }
    return { runs: runs.map(({ id }) => id), datasets };
  }

  /** Until it is acknowledged. */
  async #insist<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        expect(error).toMatchObject({ code: "UNAVAILABLE" });
        this.failures += 1;
        await delay(pauseMs);
      }
    }
  }
}

/** Null for an answer that nobody went on with for a minute, which its reader is told. */
function unlessUnavailable(error: unknown): null {
  expect(error).toMatchObject({ code: "UNAVAILABLE" });
  return null;
}

interface DatasetPage {
  readonly datasets: {
    readonly nodes: readonly { readonly id: string }[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
  };
}

interface Moods extends Pick<Receiver, "answer"> {
  readonly acknowledged: ReadonlyMap<string, number>;
}

/** A receiver answers, refuses and hangs by turns: of every five, one is refused and one hangs, the first for as long as it may. */
function moodsOf(): Moods {
  let turn = 0;
  const acknowledged = new Map<string, number>();
  return {
    acknowledged,
    answer(request, response) {
      turn += 1;
      if (turn === 5) return;
      if (turn % 5 === 0) {
        void delay(1_000).then(() => request.socket.destroy());
        return;
      }
      const isRefused = turn % 5 === 3;
      const id = String(request.headers["webhook-id"]);
      if (!isRefused) acknowledged.set(id, (acknowledged.get(id) ?? 0) + 1);
      response.writeHead(isRefused ? 500 : 204).end();
    },
  };
}
