/** DATABASE_URL as people have it: of other tools, with any password, over IPv6. */
import { describe, expect, test } from "vitest";
import { connectionOptions, unusedParameters } from "../../store/postgres/connection.ts";
import { readDatabaseUrl } from "../../store/postgres/url.ts";

const at = (rest: string) => readDatabaseUrl(`postgres://ann:secret@db.example${rest}`);

describe("an address", () => {
  test.each([
    [
      "postgres://ann:p%40s%2F1@h:6543/db",
      { host: ["h"], port: [6543], username: "ann", password: "p@s/1", database: "db" },
    ],
    ["postgresql://ann@[::1]:5998/db", { host: ["::1"], port: [5998], username: "ann", database: "db" }],
    ["postgres://h/db\n", { host: ["h"], port: [5432], database: "db" }],
    ["postgres://a:b@one,two:5433/db", { host: ["one", "two"], port: [5432, 5433] }],
    ["postgres://ann@/db?host=/run/postgresql", { path: "/run/postgresql/.s.PGSQL.5432", database: "db" }],
  ])("%s", (url, options) => {
    expect(readDatabaseUrl(url).options).toMatchObject(options);
  });

  test.each([
    "postgres://ann:p#s/1@127.0.0.1:5432/db",
    "postgres://ann:1#2@127.0.0.1/db",
    "postgres://ann:50%off@127.0.0.1:5432/db",
    "postgres://ann:s/e?cret@127.0.0.1:5432/db",
    "mysql://ann:secret@127.0.0.1/db",
    "127.0.0.1:5432",
    "postgres://h:port/db",
    "postgres://h:99999/db",
    "postgres://h/%zz",
  ])("%s is refused, without its password", (url) => {
    const read = () => readDatabaseUrl(url);
    expect(read).toThrow(/DATABASE_URL is not a valid URL.*percent-encode/u);
    expect(read).not.toThrow(/secret|50%off|p#s|e\?cret/u);
  });
});

describe("parameters", () => {
  test("that change nothing are ignored, and named", () => {
    const neon = at("/db?sslmode=require&channel_binding=require&connection_limit=5&schema=public");
    expect(unusedParameters(neon).toSorted()).toStrictEqual(["channel_binding", "connection_limit", "schema"]);
    expect(neon.settings).toStrictEqual({});
    expect(connectionOptions(neon)).toMatchObject({ ssl: "require", prepare: true });
  });

  test("of Postgres are settings of the session, but for ours", () => {
    const address = at("/db?search_path=steplog&work_mem=64MB&bytea_output=escape&application_name=mine");
    expect(unusedParameters(address)).toStrictEqual(["bytea_output", "application_name"]);
    const { connection } = connectionOptions(address);
    expect(connection).toMatchObject({ search_path: "steplog", work_mem: "64MB", application_name: "steplog" });
    expect(connection?.["bytea_output"]).toBe("hex");
  });

  test.each([
    ["sslkey=x", /sslkey/u],
    ["schema=mine", /schema.*search_path=mine/u],
    ["sslmode=on", /sslmode.*"on".*verify-full/u],
    ["sslrootcert=/not/there.pem", /sslrootcert.*not\/there/u],
    ["target_session_attrs=writable", /target_session_attrs.*writable/u],
  ])("%s is refused by name", (parameter, message) => {
    expect(() => at(`/db?${parameter}`)).toThrow(message);
  });

  test.each([
    ["disable", false],
    ["prefer", "prefer"],
    ["require", "require"],
  ])("sslmode=%s", (mode, ssl) => {
    expect(at(`/db?sslmode=${mode}`).options.ssl).toBe(ssl);
  });

  test("sslmode=verify-full checks the name too, verify-ca does not", () => {
    expect(at("/db?sslmode=verify-full").options.ssl).toStrictEqual({ rejectUnauthorized: true });
    expect(at("/db?sslmode=verify-ca").options.ssl).toMatchObject({ rejectUnauthorized: true });
    expect(at("/db?sslmode=verify-ca").options.ssl).toHaveProperty("checkServerIdentity");
  });
});
