/**
 * Which stored tensor is which of the model's. The weight of a tied head and the table it shares may be stored under either
 * name, or under both; if both are there and differ, the head is not tied, whatever the config says. transformers decides
 * alike (PreTrainedModel.tie_weights).
 */
import type { InputIssue } from "../../../schema/errors.ts";
import { SteplogError } from "../../../schema/errors.ts";
import { limits } from "../../../schema/limits.ts";
import type { Architecture, TensorDefinition } from "../families/family.ts";
import type { TensorInfo } from "./safetensors.ts";

export interface MatchedTensors<T extends TensorInfo> {
  /** With the head tied or not, as the files have it. */
  readonly architecture: Architecture;
  /** Where the tensor of each definition of the architecture is stored, by the definition's name. */
  readonly locations: ReadonlyMap<string, T>;
  /** Stored names of copies of tied weights, which are not read. */
  readonly copies: ReadonlySet<string>;
}

const floatDtypes = ["F32", "BF16", "F16"];

/** The bytes of a tensor, in chunks of 4 MiB and the rest. */
type Read<T> = (tensor: T) => AsyncGenerator<Uint8Array, undefined>;

/** @throws MODEL_INVALID for a missing or unexpected tensor, or a dtype or shape that does not fit */
export async function matchTensors<T extends TensorInfo>(
  folder: string,
  byConfig: Architecture,
  tensors: readonly T[],
  read: Read<T>,
): Promise<MatchedTensors<T>> {
  const stored = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const find = (name: string) => firstStored(byConfig.storedNames(name), stored);
  const own = new Set<string>();
  const copies = new Set<string>();
  for (const { head, shared } of byConfig.ties) {
    const [one, other] = [find(head), find(shared)];
    if (!one || !other) continue;
    if (await haveSameBytes(one, other, read)) copies.add(one.name);
    else own.add(head);
  }
  const architecture = own.size > 0 ? byConfig.untie(own) : byConfig;
  return { architecture, copies, locations: locate(folder, architecture, tensors, { stored, copies }) };
}

function firstStored<T>(names: readonly string[], stored: ReadonlyMap<string, T>): T | undefined {
  const name = names.find((candidate) => stored.has(candidate));
  return name === undefined ? undefined : stored.get(name);
}

async function haveSameBytes<T extends TensorInfo>(one: T, other: T, read: Read<T>): Promise<boolean> {
  if (one.dtype !== other.dtype || one.shape.join() !== other.shape.join()) return false;
  const others = read(other);
  try {
    for await (const chunk of read(one)) {
      const next = await others.next();
      if (next.done === true || Buffer.compare(chunk, next.value) !== 0) return false;
    }
    return true;
  } finally {
    await others.return(undefined);
  }
}

function locate<T extends TensorInfo>(
  folder: string,
  architecture: Architecture,
  tensors: readonly T[],
  { stored, copies }: { stored: ReadonlyMap<string, T>; copies: ReadonlySet<string> },
): Map<string, T> {
  const locations = new Map<string, T>();
  const issues: InputIssue[] = [];
  for (const definition of architecture.tensors) {
    const tensor = firstStored(namesOf(architecture, definition.name), stored);
    const message = tensor ? misfit(definition, tensor) : `tensor ${definition.name} is missing`;
    if (message !== null) issues.push({ field: definition.name, message });
    else if (tensor) locations.set(definition.name, tensor);
  }
  const wanted = new Set(architecture.tensors.flatMap(({ name }) => namesOf(architecture, name)));
  for (const { name } of tensors) {
    if (!wanted.has(name) && !copies.has(name) && !architecture.ignores(name)) {
      issues.push({ field: name, message: `tensor ${name} is not part of the model in config.json` });
    }
  }
  throwIfAny(folder, issues);
  return locations;
}

/** Names under which a tensor may be stored: its own, then that of a head tied to it. */
function namesOf(architecture: Architecture, name: string): readonly string[] {
  const heads = architecture.ties.filter(({ shared }) => shared === name).map(({ head }) => head);
  return [name, ...heads].flatMap((each) => architecture.storedNames(each));
}

function misfit(definition: TensorDefinition, tensor: TensorInfo): string | null {
  if (!floatDtypes.includes(tensor.dtype)) {
    return `tensor ${tensor.name} has dtype ${tensor.dtype}; Steplog reads ${floatDtypes.join(", ")}`;
  }
  if (tensor.shape.join() === definition.shape.join()) return null;
  return `tensor ${tensor.name} has shape [${tensor.shape.join(",")}], and the config needs [${definition.shape.join(",")}]`;
}

function throwIfAny(folder: string, issues: readonly InputIssue[]): void {
  const [first] = issues;
  if (!first) return;
  const more = issues.length > 1 ? ` and ${issues.length - 1} more` : "";
  const message = `The weights in ${folder} do not fit its config.json: ${first.message}${more}.`;
  throw new SteplogError("MODEL_INVALID", message, issues.slice(0, limits.issuesReported));
}
