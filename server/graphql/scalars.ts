/** Scalars beyond those of GraphQL. */
import { GraphQLError } from "graphql";
import { builder } from "./builder.ts";

builder.scalarType("DateTime", {
  specifiedByURL: "https://www.rfc-editor.org/rfc/rfc3339#section-5.6",
  description: "A point in time, ISO 8601 in UTC with milliseconds: 2026-01-31T12:00:00.000Z.",
  serialize: (date) => date.toISOString(),
  parseValue: (value) => {
    const date = new Date(typeof value === "string" ? value : Number.NaN);
    if (Number.isNaN(date.getTime())) throw new GraphQLError("DateTime must be an ISO 8601 string.");
    return date;
  },
});

builder.scalarType("Date", {
  specifiedByURL: "https://www.rfc-editor.org/rfc/rfc3339#section-5.6",
  description: "A day in UTC: 2026-01-31.",
  serialize: (day) => day,
  parseValue: (value) => {
    const isDay = typeof value === "string" && /^\d{4}-\d\d-\d\d$/u.test(value) && isReal(value);
    if (isDay) return value;
    throw new GraphQLError(`Date must be a day such as 2026-01-31; got ${JSON.stringify(value)}.`);
  },
});

/** No 31st of February. */
function isReal(day: string): boolean {
  const date = new Date(`${day}T00:00:00.000Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day);
}

builder.scalarType("SafeInt", {
  // Its range is the one in which numbers of JSON are exact everywhere.
  specifiedByURL: "https://www.rfc-editor.org/rfc/rfc8259#section-6",
  description: "A whole number from -(2^53 - 1) to 2^53 - 1, as a JSON number. Int only holds 32 bits.",
  serialize: (value) => value,
  parseValue: (value) => {
    if (typeof value === "number" && Number.isSafeInteger(value)) return value;
    throw new GraphQLError(
      `SafeInt must be a whole number from -(2^53 - 1) to 2^53 - 1; got ${JSON.stringify(value)}.`,
    );
  },
});

builder.scalarType("LearningRate", {
  description: "A number, or AUTO: the worker then chooses the rate from the scale of the first projected gradients.",
  serialize: (value) => value,
  parseValue: (value) => {
    if (typeof value === "number" || value === "AUTO") return value;
    throw new GraphQLError(`LearningRate must be a number or AUTO; got ${JSON.stringify(value)}.`);
  },
});
