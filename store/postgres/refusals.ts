/** Errors of a first connection that waiting does not mend, with Postgres' own reason and what to change. */
import { once } from "node:events";
import { connect } from "node:net";
import { SteplogError } from "../../schema/errors.ts";
import { certificateCodes, causeOf } from "./failures.ts";
import type { DatabaseAddress } from "./url.ts";

const advices: Readonly<Record<string, string>> = {
  "28000": "Check the user in DATABASE_URL, and pg_hba.conf. If the server demands TLS, add sslmode=require.",
  "28P01": "Check the user and the password in DATABASE_URL.",
  "3D000": "Create the database, or name another in DATABASE_URL.",
  "42501": "Give the user the right to create tables: grant create on schema public to USER, and create on database.",
  "42704": "Remove the parameter from DATABASE_URL if it is another tool's.",
  "22023": "Correct the parameter in DATABASE_URL.",
  "08P01":
    "If DATABASE_URL points to PgBouncer, add pgbouncer=true to it and set DATABASE_DIRECT_URL to Postgres itself.",
};

/** INVALID_ARGUMENT for what only the operator can mend; any other error unchanged. */
export async function asStartError(error: unknown, address: DatabaseAddress): Promise<unknown> {
  const { code, reason } = causeOf(error);
  const refuse = (message: string) => new SteplogError("INVALID_ARGUMENT", message, [], { cause: error });
  if (error instanceof SteplogError) return error;
  const advice = advices[code];
  if (advice !== undefined) return refuse(`Postgres at ${address.shown} refuses: ${reason}. ${advice}`);
  if (certificateCodes.includes(code)) {
    const more = "Give sslrootcert=FILE with the certificate that signed it, or sslmode=require to encrypt unchecked.";
    return refuse(`The certificate of Postgres at ${address.shown} is not accepted (${code}). ${more}`);
  }
  const wantsTls = address.sslmode !== null && !["disable", "allow", "prefer"].includes(address.sslmode);
  if (wantsTls && (await lacksTls(address))) {
    const more = "Turn ssl on in Postgres, or give sslmode=prefer or disable.";
    return refuse(
      `DATABASE_URL has sslmode=${address.sslmode}, but Postgres at ${address.shown} does not offer TLS. ${more}`,
    );
  }
  return error;
}

const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
const probeMs = 3_000;

/** Whether the first host answers a request for TLS with no; false when it says nothing. */
async function lacksTls({ options }: DatabaseAddress): Promise<boolean> {
  const [host] = [options.host ?? "localhost"].flat();
  const [port] = [options.port ?? 5_432].flat();
  const socket = connect({ host: String(host), port: Number(port), timeout: probeMs });
  socket.on("timeout", () => socket.destroy(new Error("no answer")));
  try {
    await once(socket, "connect");
    socket.write(sslRequest);
    const [answer] = (await once(socket, "data")) as [Buffer];
    return answer.toString("latin1").startsWith("N");
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
