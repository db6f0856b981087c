/**
 * The part of Python's pickle that a file of tensors needs. A pickle is a program: Python runs whatever it names. Here a few
 * instructions build values (texts, numbers, lists, dictionaries), and the few names that a state dict of PyTorch uses build
 * descriptions of tensors. No code is run; any other instruction or name is refused.
 *
 * Every instruction takes time and memory in proportion to its own bytes or to what it takes off the stack, so that a small
 * file cannot cost much. Values are never traversed, since a program can make one that refers to another many times over.
 */

/** A pickle that is not one of tensors alone, or is damaged: what is wrong with it, to follow "its pickle". */
export class PickleError extends Error {}

/** Where PyTorch stores a tensor's elements; the file has its bytes under the key. */
export interface Storage {
  readonly kind: "storage";
  /** Name of the class: FloatStorage. */
  readonly type: string;
  readonly key: string;
  readonly elements: number;
}

/** A view of a storage: element (i, j) is at offset + i * strides[0] + j * strides[1]. */
export interface PickledTensor {
  readonly kind: "tensor";
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

interface Named {
  readonly kind: "named";
  readonly name: string;
}

interface Tuple {
  readonly kind: "tuple";
  readonly items: readonly Value[];
}

interface List {
  readonly kind: "list";
  readonly items: Value[];
}

interface Dictionary {
  readonly kind: "dictionary";
  readonly entries: Map<Value, Value>;
}

type Value = string | number | boolean | null | Named | Tuple | List | Dictionary | Storage | PickledTensor;

/** Classes of storages, by their names in the pickle, with the dtype of their elements in safetensors. */
export const storageDtypes: ReadonlyMap<string, string> = new Map([
  ["FloatStorage", "F32"],
  ["HalfStorage", "F16"],
  ["BFloat16Storage", "BF16"],
  ["DoubleStorage", "F64"],
  ["LongStorage", "I64"],
  ["IntStorage", "I32"],
  ["ShortStorage", "I16"],
  ["CharStorage", "I8"],
  ["ByteStorage", "U8"],
  ["BoolStorage", "BOOL"],
]);

const orderedDict = "collections.OrderedDict";

/** What a name may be called with. */
const calls: ReadonlyMap<string, (given: readonly Value[]) => Value> = new Map([
  [orderedDict, newDictionary],
  ["torch._utils._rebuild_tensor", rebuildTensor],
  ["torch._utils._rebuild_tensor_v2", rebuildTensor],
  ["torch._utils._rebuild_parameter", ([tensor = null]: readonly Value[]) => tensor],
]);

const isKnown = (name: string) => calls.has(name) || storageDtypes.has(name.replace(/^torch\./u, ""));

/** The tensors of a state dict, by name. @throws PickleError */
export function readStateDict(pickle: Buffer): Map<string, PickledTensor> {
  return stateDictOf(new Machine(pickle).run());
}

export interface LegacyPickles {
  readonly tensors: ReadonlyMap<string, PickledTensor>;
  /** Keys of the storages, in the order of their bytes. */
  readonly keys: readonly string[];
  /** The storages of the tensors, by key. */
  readonly known: ReadonlyMap<string, Storage>;
  /** Bytes that the pickles take. */
  readonly end: number;
}

/** The five pickles at the head of a file in the older format (legacy.ts). @throws PickleError */
export function readLegacyPickles(bytes: Buffer): LegacyPickles {
  const machine = new Machine(bytes);
  if (machine.run() !== legacyMagic || machine.run() !== legacyVersion)
    throw new PickleError("is not one of torch.save");
  const sizes = machine.run();
  if (!isKind(sizes, "dictionary") || sizes.entries.get("little_endian") !== true) {
    throw new PickleError("is of a big-endian machine");
  }
  const tensors = stateDictOf(machine.run());
  const known = new Map(machine.storages);
  const keys = machine.run();
  const names = isKind(keys, "list") ? keys.items : [];
  return { tensors, known, keys: names.filter((key) => typeof key === "string"), end: machine.at };
}

/** As a float: it has more digits than a float holds, and no other number is this one by chance. */
const legacyMagic = Number(0x1950a86a20f9469cfc6cn);
const legacyVersion = 1001;

function stateDictOf(value: Value): Map<string, PickledTensor> {
  if (!isKind(value, "dictionary")) throw new PickleError("does not hold a dictionary of tensors");
  const tensors = new Map<string, PickledTensor>();
  for (const [name, tensor] of value.entries) {
    if (typeof name !== "string") throw new PickleError("has an entry whose name is not text");
    if (!isKind(tensor, "tensor")) throw new PickleError(`has an entry ${JSON.stringify(name)} that is not a tensor`);
    tensors.set(name, tensor);
  }
  return tensors;
}

class Machine {
  /** The storages that it referred to, by key. */
  readonly storages = new Map<string, Storage>();
  readonly #bytes: Buffer;
  #at = 0;
  #stack: Value[] = [];
  /** Lengths of the stack at each MARK. */
  #marks: number[] = [];
  readonly #memo = new Map<number, Value>();

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Bytes read so far. */
  get at(): number {
    return this.#at;
  }

  /** Runs the next pickle, to its STOP. */
  run(): Value {
    this.#stack = [];
    this.#marks = [];
    this.#memo.clear();
    for (;;) {
      const code = this.#byte();
      if (code === stop) return this.#pop();
      this.#step(code);
    }
  }

  #step(code: number): void {
    const opcode = String.fromCharCode(code);
    switch (opcode) {
      case "\u0080": // PROTO
        if (this.#byte() > 5) throw new PickleError("has a newer protocol than 5");
        return;
      case "\u0095": // FRAME
        this.#take(8);
        return;
      case "(":
        this.#marks.push(this.#stack.length);
        return;
      case "c": // GLOBAL
        this.#push(this.#named(this.#line(), this.#line()));
        return;
      case "\u0093": {
        // STACK_GLOBAL
        const name = this.#pop();
        this.#push(this.#named(textOf(this.#pop()), textOf(name)));
        return;
      }
      case "Q": {
        // BINPERSID
        const storage = storageOf(this.#pop());
        this.storages.set(storage.key, storage);
        this.#push(storage);
        return;
      }
      case "R": {
        // REDUCE
        const given = this.#popKind("tuple");
        this.#push(call(this.#popKind("named"), given.items));
        return;
      }
      case "b": // BUILD: attributes of an object, such as the versions of modules; nothing needs them
        this.#pop();
        if (!isKind(this.#top(), "dictionary"))
          throw new PickleError("sets attributes of something that is no dictionary");
        return;
      default:
        if (!this.#stepConstant(opcode) && !this.#stepMemo(opcode) && !this.#stepContainer(opcode)) {
          throw new PickleError(
            `has the instruction 0x${code.toString(16)} at byte ${this.#at - 1}, which tensors do not need`,
          );
        }
    }
  }

  /** Instructions that push a constant. */
  #stepConstant(opcode: string): boolean {
    switch (opcode) {
      case "N":
        return this.#push(null);
      case "\u0088":
        return this.#push(true);
      case "\u0089":
        return this.#push(false);
      case "K":
        return this.#push(this.#byte());
      case "M":
        return this.#push(this.#take(2).readUInt16LE());
      case "J":
        return this.#push(this.#take(4).readInt32LE());
      case "\u008a":
        return this.#push(longOf(this.#take(this.#byte())));
      case "G":
        return this.#push(this.#take(8).readDoubleBE());
      case "X":
        return this.#push(this.#take(this.#take(4).readUInt32LE()).toString("utf8"));
      case "\u008c":
        return this.#push(this.#take(this.#byte()).toString("utf8"));
      case "U":
        return this.#push(this.#take(this.#byte()).toString("latin1"));
      case "T":
        return this.#push(this.#take(this.#take(4).readUInt32LE()).toString("latin1"));
      default:
        return false;
    }
  }

  #stepMemo(opcode: string): boolean {
    switch (opcode) {
      case "q":
        return this.#remember(this.#byte());
      case "r":
        return this.#remember(this.#take(4).readUInt32LE());
      case "\u0094":
        return this.#remember(this.#memo.size);
      case "h":
        return this.#push(this.#recall(this.#byte()));
      case "j":
        return this.#push(this.#recall(this.#take(4).readUInt32LE()));
      default:
        return false;
    }
  }

  #stepContainer(opcode: string): boolean {
    switch (opcode) {
      case "}":
        return this.#push({ kind: "dictionary", entries: new Map() });
      case "]":
        return this.#push({ kind: "list", items: [] });
      case ")":
        return this.#push({ kind: "tuple", items: [] });
      case "\u0085":
      case "\u0086":
      case "\u0087":
        return this.#push({ kind: "tuple", items: this.#popMany(opcode.charCodeAt(0) - 0x84) });
      case "t":
        return this.#push({ kind: "tuple", items: this.#popToMark() });
      case "a":
        return this.#append([this.#pop()]);
      case "e":
        return this.#append(this.#popToMark());
      case "s":
        return this.#set(this.#popMany(2));
      case "u":
        return this.#set(this.#popToMark());
      default:
        return false;
    }
  }

  #append(items: readonly Value[]): boolean {
    const list = this.#top();
    if (!isKind(list, "list")) throw new PickleError("appends to something that is no list");
    for (const item of items) list.items.push(item);
    return true;
  }

  #set(items: readonly Value[]): boolean {
    const dictionary = this.#top();
    if (!isKind(dictionary, "dictionary")) throw new PickleError("sets entries of something that is no dictionary");
    if (items.length % 2 !== 0) throw new PickleError("sets an entry without a value");
    for (let i = 0; i < items.length; i += 2) dictionary.entries.set(items[i] ?? null, items[i + 1] ?? null);
    return true;
  }

  #named(module: string, name: string): Named {
    const full = `${module}.${name}`;
    if (isKnown(full)) return { kind: "named", name: full };
    throw new PickleError(`asks for ${JSON.stringify(full.slice(0, 100))}, which is code and not part of a tensor`);
  }

  #remember(index: number): boolean {
    this.#memo.set(index, this.#top());
    return true;
  }

  #recall(index: number): Value {
    const value = this.#memo.get(index);
    if (value === undefined) throw new PickleError(`refers to a value ${index} that it did not store`);
    return value;
  }

  #push(value: Value): true {
    this.#stack.push(value);
    return true;
  }

  #pop(): Value {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  #top(): Value {
    const value = this.#stack.at(-1);
    if (value === undefined || this.#stack.length <= (this.#marks.at(-1) ?? 0)) {
      throw new PickleError("takes a value that is not there");
    }
    return value;
  }

  #popKind<K extends keyof ByKind>(kind: K): ByKind[K] {
    const value = this.#pop();
    if (isKind(value, kind)) return value;
    throw new PickleError(`has another value where a ${kind} must be`);
  }

  #popMany(count: number): Value[] {
    return Array.from({ length: count }, () => this.#pop()).toReversed();
  }

  #popToMark(): Value[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw new PickleError("ends a group that it did not begin");
    return this.#stack.splice(mark);
  }

  #byte(): number {
    return this.#take(1).readUInt8();
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new PickleError(`is cut short at byte ${this.#bytes.length}`);
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  #line(): string {
    const end = this.#bytes.indexOf(10, this.#at);
    if (end < 0) throw new PickleError(`is cut short at byte ${this.#bytes.length}`);
    const line = this.#bytes.toString("utf8", this.#at, end);
    this.#at = end + 1;
    return line;
  }
}

const stop = ".".charCodeAt(0);

interface ByKind {
  named: Named;
  tuple: Tuple;
  list: List;
  dictionary: Dictionary;
  storage: Storage;
  tensor: PickledTensor;
}

function isKind<K extends keyof ByKind>(value: Value | undefined, kind: K): value is ByKind[K] {
  return typeof value === "object" && value?.kind === kind;
}

function textOf(value: Value): string {
  if (typeof value === "string") return value;
  throw new PickleError("has another value where a name must be");
}

/** A little-endian two's complement integer of any length. */
function longOf(bytes: Buffer): number {
  if (bytes.length === 0) return 0;
  const hex = Buffer.from(bytes.toReversed()).toString("hex");
  return Number(BigInt.asIntN(8 * bytes.length, BigInt(`0x${hex}`)));
}

/** ("storage", class, key, device, elements), and in the older format null, or a view of another storage, which is not read */
function storageOf(value: Value): Storage {
  const items = isKind(value, "tuple") ? value.items : [];
  const [tag, type, key, , elements, view = null] = items;
  const known = isKind(type, "named") ? type.name.replace(/^torch\./u, "") : "";
  if (tag === "storage" && storageDtypes.has(known) && typeof key === "string" && isCount(elements) && view === null) {
    return { kind: "storage", type: known, key, elements };
  }
  throw new PickleError("refers to something outside it that is no storage of numbers");
}

function call({ name }: Named, given: readonly Value[]): Value {
  const make = calls.get(name);
  if (make) return make(given);
  throw new PickleError(`calls ${name}`);
}

/** OrderedDict(), or of a list of pairs. */
function newDictionary([pairs]: readonly Value[]): Dictionary {
  const entries = new Map<Value, Value>();
  for (const pair of isKind(pairs, "list") ? pairs.items : []) {
    const [key, value] = isKind(pair, "tuple") || isKind(pair, "list") ? pair.items : [];
    if (key === undefined || value === undefined)
      throw new PickleError("makes a dictionary of something else than pairs");
    entries.set(key, value);
  }
  return { kind: "dictionary", entries };
}

/** (storage, offset, shape, strides, ...), all counted in elements. */
function rebuildTensor([storage, offset, shape, strides]: readonly Value[]): PickledTensor {
  if (!isKind(storage, "storage") || !isCount(offset) || !isKind(shape, "tuple") || !isKind(strides, "tuple")) {
    throw new PickleError("describes a tensor by other values than a storage, an offset, a shape and strides");
  }
  const sizes = shape.items.filter(isCount);
  const steps = strides.items.filter(isCount);
  if (sizes.length !== shape.items.length || steps.length !== sizes.length || strides.items.length !== steps.length) {
    throw new PickleError("describes a tensor whose shape or strides are not sizes");
  }
  return { kind: "tensor", storage, offset, shape: sizes, strides: steps };
}

function isCount(value: Value | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
