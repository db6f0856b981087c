/** Which token `steplog model add` tells whom, and through which proxy it asks. */
import { readFile, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readHubAccess, readProxies, tokenPath } from "../../cli/config.ts";
import { Hub } from "../../models/hub/hub.ts";
import { fetchThrough } from "../../models/hub/proxy.ts";
import { demoBase } from "../../cli/service.ts";
import { baseHash, openModelFolder } from "../../engine/model/files/folder.ts";
import { certificate } from "../support/certificate.ts";
import type { HubRepository } from "../support/hub.ts";
import { filesOf, repositoryOf, testHub } from "../support/hub.ts";
import { modelCommand } from "../support/model-command.ts";
import { scratch } from "../support/models.ts";
import { runSteplog } from "../support/processes.ts";
import { testProxy } from "../support/proxy.ts";

const secret = "hf_of_the_login";
const demoHash = await baseHash(await openModelFolder(demoBase));
const gated = async (): Promise<HubRepository> => ({ ...repositoryOf(await filesOf(demoBase)), token: secret });

/** HF_HOME after a login, with the newline that its program may leave. */
async function login(text = `${secret}\n`): Promise<string> {
  const home = await scratch();
  await writeFile(join(home, "token"), text);
  return home;
}

describe("the token", () => {
  test.each([
    [{ HF_TOKEN_PATH: "/a/mine", HF_HOME: "/b" }, "/a/mine"],
    [{ HF_TOKEN_PATH: "", HF_HOME: "/b", XDG_CACHE_HOME: "/c" }, "/b/token"],
    [{ HF_HOME: "", XDG_CACHE_HOME: "/c" }, "/c/huggingface/token"],
    [{ HF_HOME: "~/hub" }, `${homedir()}/hub/token`],
    [{}, `${homedir()}/.cache/huggingface/token`],
  ])("of a login lies where its program leaves it: %j", (env, path) => {
    expect(tokenPath(env)).toBe(path);
  });

  test("of a variable comes before that of a login, and none is none", async () => {
    const HF_HOME = await login();
    const path = join(HF_HOME, "token");
    const read = async (env: Record<string, string>) => (await readHubAccess({ HF_HOME, ...env })).token;
    const old = { HUGGING_FACE_HUB_TOKEN: "hf_old" };
    expect(await read({})).toStrictEqual({ secret, from: path });
    expect(await read({ HF_TOKEN: "", ...old })).toStrictEqual({ secret: "hf_old", from: "HUGGING_FACE_HUB_TOKEN" });
    expect(await read({ HF_TOKEN: " hf_new\n", ...old })).toStrictEqual({ secret: "hf_new", from: "HF_TOKEN" });
    expect(await read({ HF_HOME: await scratch() })).toBeUndefined();
    expect(await read({ HF_HOME: await login(" \n") })).toBeUndefined();
    expect(await read({ HF_TOKEN_PATH: join(path, "below") })).toBeUndefined();
  });

  test("that cannot be one is refused without a word of it", async () => {
    const HF_HOME = await login(`${secret}\nof two lines`);
    const refused = await readHubAccess({ HF_HOME }).catch((error: unknown) => error as Error);
    expect(refused).toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringContaining(HF_HOME) as unknown });
    expect((refused as Error).message).not.toContain(secret);
    const folder = await scratch();
    await expect(readHubAccess({ HF_TOKEN_PATH: folder })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining(`${folder} cannot be read (EISDIR)`) as unknown,
    });
  });

  test("of a login opens what is gated, is told to the hub alone, and is not printed", async () => {
    const hub = await testHub({ "tiny/base": await gated() });
    const { models, run } = await modelCommand({ HF_ENDPOINT: hub.url, HF_TOKEN_PATH: "", HF_HOME: await login() });
    const { code, stdout, stderr } = await run("add", "tiny/base");
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(await baseHash(await openModelFolder(join(models, "base")))).toBe(demoHash);
    expect(new Set(hub.seen.map(({ server }) => server))).toStrictEqual(new Set(["hub", "storage"]));
    for (const { server, authorization } of hub.seen) {
      expect(authorization).toBe(server === "hub" ? `Bearer ${secret}` : undefined);
    }
    const written = await readFile(join(models, "base", "steplog.json"), "utf8");
    expect(stdout + stderr + written).not.toContain(secret);
  });

  test("of a login that may not is named by its file", async () => {
    const hub = await testHub({ "tiny/base": await gated() });
    const HF_HOME = await login("hf_of_another");
    const client = new Hub(await readHubAccess({ HF_HOME, HF_ENDPOINT: hub.url }));
    await expect(client.commitOf("tiny/base", "main")).rejects.toMatchObject({
      code: "UNAUTHENTICATED",
      message: expect.stringContaining(`check that the token in ${join(HF_HOME, "token")} may`) as unknown,
    });
  });

  test("does not follow a listing to another origin", async () => {
    const hub = await testHub({ "tiny/base": await gated() });
    hub.faults.strayPages = true;
    const client = new Hub(await readHubAccess({ HF_HOME: await login(), HF_ENDPOINT: hub.url }));
    await expect(client.commitOf("tiny/base", "main")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(hub.seen.at(-1)).toMatchObject({ server: "storage", authorization: undefined });
  });
});

describe("proxies", () => {
  test("are those of the variables, and Node's own fetch is left alone without any", async () => {
    expect(readProxies({ HTTP_PROXY: "", NO_PROXY: "a" })).toBeNull();
    expect(await fetchThrough(null)).toBe(fetch);
    expect(readProxies({ HTTPS_PROXY: "http://b:1", NO_PROXY: "c,.d" })).toStrictEqual({
      http: undefined,
      https: "http://b:1",
      except: "c,.d",
    });
    const both = { HTTP_PROXY: "http://no", http_proxy: "a:1", no_proxy: "e", NO_PROXY: "f" };
    expect(readProxies(both)).toStrictEqual({ http: "http://a:1", https: "http://a:1", except: "e" });
  });

  test.each(["socks5://me:pass@word:1", "http://", "http://me:pass%@host:1"])(
    "are refused unprinted: %s",
    (address) => {
      let refused: unknown;
      try {
        readProxies({ https_proxy: address });
      } catch (error) {
        refused = error;
      }
      expect(refused).toMatchObject({
        code: "INVALID_ARGUMENT",
        message: expect.stringMatching(/^HTTPS_PROXY/u) as unknown,
      });
      expect(String(refused)).not.toContain("pass");
    },
  );

  test("are asked for http://, with their password, but for the hosts of NO_PROXY", async () => {
    const hub = await testHub({ "tiny/base": await gated() });
    const names = { "hub.invalid": hub.url.replace("http://", "") };
    const proxy = await testProxy({ credentials: "me:p@ss", names });
    const through = async (NO_PROXY: string) => {
      proxy.seen.length = 0;
      hub.seen.length = 0;
      const { run } = await modelCommand({
        HF_ENDPOINT: "http://hub.invalid",
        HF_TOKEN: secret,
        HTTP_PROXY: `http://me:p%40ss@${proxy.host}`,
        NO_PROXY,
      });
      const { code, stdout, stderr } = await run("add", "tiny/base");
      expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.not.stringContaining("p%40ss") as unknown });
      expect(stdout).toContain(demoHash);
      for (const { server, authorization } of hub.seen) {
        expect(authorization).toBe(server === "hub" ? `Bearer ${secret}` : undefined);
      }
      return new Set(proxy.seen.map(({ method, target }) => `${method} ${new URL(target).hostname}`));
    };
    expect(await through("")).toStrictEqual(new Set(["GET hub.invalid", "GET 127.0.0.1"]));
    expect(await through("localhost, 127.0.0.1")).toStrictEqual(new Set(["GET hub.invalid"]));
  });

  test("are tunnels for https://, in which nobody sees the token", async () => {
    const tls = certificate();
    const trusted = join(await scratch(), "certificate.pem");
    await writeFile(trusted, tls.cert);
    const hub = await testHub({ "tiny/base": await gated() }, tls);
    const proxy = await testProxy();
    const env = { HF_ENDPOINT: hub.url, HF_TOKEN_PATH: "", HF_HOME: await login(), https_proxy: proxy.host };
    // Node.js reads the certificates when it starts.
    const { models, run } = await modelCommand({ ...env, NODE_EXTRA_CA_CERTS: trusted }, runSteplog);
    const { code, stderr } = await run("add", "tiny/base");
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(await baseHash(await openModelFolder(join(models, "base")))).toBe(demoHash);
    expect(new Set(proxy.seen.map(({ method }) => method))).toStrictEqual(new Set(["CONNECT"]));
    expect(new Set(proxy.seen.map(({ target }) => target)).size).toBe(2);
    for (const { server, authorization } of hub.seen) {
      expect(authorization).toBe(server === "hub" ? `Bearer ${secret}` : undefined);
    }
  });

  test.each(["http", "https"])("that refuse end the question, with nothing asked past them: %s", async (scheme) => {
    const hub = await testHub({ "tiny/base": await gated() });
    const proxy = await testProxy({ credentials: "me:pass" });
    const fetch = await fetchThrough(readProxies({ HTTP_PROXY: proxy.host }));
    const endpoint = hub.url.replace("http", scheme);
    const client = new Hub({ endpoint, token: { secret, from: "HF_TOKEN" } }, { fetch });
    await expect(client.commitOf("tiny/base", "main")).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("407") as unknown,
    });
    expect(proxy.seen).toHaveLength(1);
    expect(hub.seen).toStrictEqual([]);
  });
});
