/** The reference of the API, as Markdown by slug: from the descriptions of the printed schema, and from the error codes. */
import {
  buildSchema,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isScalarType,
  isSpecifiedScalarType,
  isUnionType,
  getNamedType,
  print,
  astFromValue,
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLNamedType,
  type GraphQLType,
} from "graphql";
import { errorCodes, passing } from "../schema/errors.ts";

export function reference(source: string): Map<string, string> {
  const schema = buildSchema(source);
  const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
  const types = Object.values(schema.getTypeMap()).filter(
    (type) => !type.name.startsWith("__") && !isSpecifiedScalarType(type) && !roots.some((root) => root === type),
  );
  const [queries, mutations, subscriptions] = roots.map((root) => Object.values(root?.getFields() ?? {}));
  const outputs = types.filter((type) => isObjectType(type) || isInterfaceType(type) || isUnionType(type));
  const inputs = types.filter((type) => isInputObjectType(type) || isScalarType(type));
  return new Map([
    ["reference-queries", operations("Queries", "What can be asked.", queries)],
    ["reference-mutations", operations("Mutations", "What can be done.", mutations)],
    [
      "reference-subscriptions",
      operations("Subscriptions", "What can be followed, over WebSocket or as an event stream.", subscriptions),
    ],
    ["reference-types", listed("Types", "What answers are made of.", outputs.toSorted(listsLast))],
    ["reference-enums", listed("Enums", "Values with names.", types.filter(isEnumType))],
    ["reference-inputs", listed("Inputs and scalars", "What arguments are made of.", inputs)],
    ["reference-errors", errors()],
  ]);
}

const source =
  "Made from the schema, which a service has at `/graphql`. The [guide](docs/API.md) has examples of all of it.";

function operations(title: string, what: string, fields: readonly GraphQLField<unknown, unknown>[] = []): string {
  const sections = fields.map((field) =>
    [`## ${field.name}`, signature(field), field.description ?? "", ...deprecation(field), bullets(field.args)].join(
      "\n\n",
    ),
  );
  return [`# ${title}`, `${what} ${source}`, ...sections].join("\n\n");
}

function listed(title: string, what: string, types: readonly GraphQLNamedType[]): string {
  return [`# ${title}`, `${what} ${source}`, ...types.map(typeSection)].join("\n\n");
}

function typeSection(type: GraphQLNamedType): string {
  return [`## ${type.name}`, type.description ?? "", ...partsOf(type)].join("\n\n");
}

function partsOf(type: GraphQLNamedType): string[] {
  if (isEnumType(type))
    return [
      type
        .getValues()
        .map((value) => bullet(code(value.name), value))
        .join("\n"),
    ];
  if (isUnionType(type))
    return [
      `One of ${type
        .getTypes()
        .map(({ name }) => linked(name))
        .join(", ")}.`,
    ];
  if (isScalarType(type)) return type.specifiedByURL ? [`Specified at <${type.specifiedByURL}>.`] : [];
  if (isInputObjectType(type)) {
    return [
      ...(type.isOneOf ? ["Exactly one of the fields is given."] : []),
      bullets(Object.values(type.getFields()), type.name),
    ];
  }
  if (isObjectType(type) || isInterfaceType(type)) {
    const interfaces = type.getInterfaces().map(({ name }) => linked(name));
    const fields = Object.values(type.getFields()).map(
      (field) => bullet(signature(field, type.name), field) + argumentsOf(field),
    );
    return [...(interfaces.length > 0 ? [`Implements ${interfaces.join(", ")}.`] : []), fields.join("\n")];
  }
  return [];
}

/** Pages of lists say little that differs, so they come after what they are lists of. */
function listsLast(one: GraphQLNamedType, other: GraphQLNamedType): number {
  const isList = ({ name }: GraphQLNamedType) => Number(/(?:Connection|Edge)$/u.test(name));
  return isList(one) - isList(other) || (one.name < other.name ? -1 : 1);
}

interface Described {
  readonly description?: string | null | undefined;
  readonly deprecationReason?: string | null | undefined;
}

function bullet(head: string, part: Described): string {
  const body = [part.description ?? "", ...deprecation(part)].filter(Boolean).join("\n\n");
  return `- ${head}\n\n${indent(body)}\n`;
}

function bullets(args: readonly (GraphQLArgument | GraphQLInputField)[], owner?: string): string {
  return args.map((arg) => bullet(argument(arg, owner), arg)).join("\n");
}

function argumentsOf({ args }: GraphQLField<unknown, unknown>): string {
  return args.length === 0 ? "" : `\n${indent(bullets(args))}\n`;
}

function deprecation({ deprecationReason }: Described): string[] {
  return deprecationReason ? [`**Deprecated.** ${deprecationReason}`] : [];
}

function signature(field: GraphQLField<unknown, unknown>, owner?: string): string {
  const args = field.args.map(({ name, type }) => `${name}: ${typed(type)}`).join(", ");
  return code(`${name(field.name, owner)}${args === "" ? "" : `(${args})`}: ${typed(field.type)}`);
}

function argument(arg: GraphQLArgument | GraphQLInputField, owner?: string): string {
  const value = arg.defaultValue === undefined ? null : astFromValue(arg.defaultValue, arg.type);
  const usual = value ? ` = ${print(value).replaceAll("<", "&lt;")}` : "";
  return code(`${name(arg.name, owner)}: ${typed(arg.type)}${usual}`);
}

/** A field can be linked to as TYPE.FIELD, which no heading is called. */
function name(field: string, owner?: string): string {
  return owner === undefined ? `<b>${field}</b>` : `<b id="${owner}.${field}">${field}</b>`;
}

/** HTML, since code of Markdown cannot have links in it. */
function code(html: string): string {
  return `<code class="signature">${html}</code>`;
}

function typed(type: GraphQLType): string {
  const named = getNamedType(type);
  return String(type).replace(named.name, linkTo(named));
}

function linkTo(type: GraphQLNamedType): string {
  if (isSpecifiedScalarType(type)) return type.name;
  const page = isEnumType(type) ? "enums" : isInputObjectType(type) || isScalarType(type) ? "inputs" : "types";
  return `<a href="reference-${page}.html#${type.name.toLowerCase()}">${type.name}</a>`;
}

function linked(type: string): string {
  return `[${type}](reference-types.html#${type.toLowerCase()})`;
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gmu, "  ");
}

function errors(): string {
  const sections = Object.entries(errorCodes).map(([code, what]) => {
    const seconds = (passing as Readonly<Record<string, number>>)[code];
    const again =
      seconds === undefined ? "" : ` It passes with time: try again after ${seconds} s, or as long as the error says.`;
    return `## ${code}\n\n${what}${again}`;
  });
  const intro =
    "Every error that a client can cause has one of these codes, in `extensions.code`. A code never changes its meaning. " +
    "How errors are told over GraphQL, HTTP and OpenAI's protocol is in the [guide](docs/API.md#errors); what to do about " +
    "them in [troubleshooting](docs/TROUBLESHOOTING.md).";
  return ["# Errors", intro, ...sections].join("\n\n");
}
