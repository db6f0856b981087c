/** A server whose models answer, by a fake lane, and what its tests ask it. */
import { FakeLane } from "./fake-lane.ts";
import { chatModel, collect, modelRow, testServer, wsClient, type TestServer } from "./harness.ts";

/** With the base models bytes, talker (a chat template) and filler (a masked one). */
export async function answeringServer(): Promise<{ readonly server: TestServer; readonly lane: FakeLane }> {
  const server = await testServer();
  await chatModel(server, "talker");
  await server.store.baseModels.register({ ...modelRow("filler"), family: "roberta" });
  return { server, lane: await FakeLane.start(server.store) };
}

export const named = { model: { name: "bytes" } };

export const create = `mutation ($input: CreateCompletionInput!) {
  createCompletion(input: $input) { created completion { id status seed alias baseModel { name } } } }`;
const pieces = `subscription ($id: ID!, $after: Int) { completionPieces(id: $id, after: $after) {
  cursor piece { choice text firstToken tokens finishReason } } }`;

interface Created {
  readonly createCompletion: { created: boolean; completion: { id: string; status: string; seed: number | null } };
}
interface Piece {
  readonly completionPieces: { cursor: number; piece: { choice: number; text: string; finishReason: string | null } };
}

export async function created(server: TestServer, input: object): Promise<Created["createCompletion"]> {
  return (await server.ask<Created>(create, { input: { ...named, prompt: "It was", ...input } })).createCompletion;
}

/** Until it ends, or there are `enough`. */
export async function piecesOf(server: TestServer, id: string, { after = 0, enough = Infinity } = {}) {
  const client = wsClient(server);
  const got = await collect<Piece>(client, pieces, { id, after }, enough);
  await client.dispose();
  return got.map(({ completionPieces }) => completionPieces);
}
