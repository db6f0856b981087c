/** What narrows the list of runs, and its order. */
import type { FineTuneSort, FineTuneStatus } from "../../../client/schema-types.ts";
import { SearchField } from "../parts/search-field.tsx";
import { statusWords } from "../parts/status.tsx";
import { orders, type Listing } from "./filter.ts";

interface FiltersProps {
  readonly listing: Listing;
  readonly models: readonly string[];
  readonly onChange: (change: Partial<Listing>) => void;
}

export function Filters({ listing, models, onChange }: FiltersProps) {
  return (
    <search class="filters">
      <SearchField
        label="Search by name, tag or id"
        does="Search the runs"
        text={listing.search}
        onText={(search) => onChange({ search })}
      />
      <Choice
        label="Status"
        value={listing.status}
        options={[["", "Any status"], ...Object.entries(statusWords)]}
        onValue={(status) => onChange({ status: status as FineTuneStatus | "" })}
      />
      <Choice
        label="Base model"
        value={listing.model}
        options={[["", "Any base model"], ...models.map((name) => [name, name] as const)]}
        onValue={(model) => onChange({ model })}
      />
      <Choice
        label="Order"
        value={listing.reverse ? `${listing.sort} ${reversed}` : listing.sort}
        options={orderOptions}
        onValue={(value) => {
          const [sort, end] = value.split(" ");
          onChange({ sort: sort as FineTuneSort, reverse: end === reversed });
        }}
      />
      <label class="check">
        <input
          type="checkbox"
          checked={listing.archived}
          onChange={({ currentTarget: { checked } }) => onChange({ archived: checked })}
        />
        Only archived
      </label>
    </search>
  );
}

const reversed = "reversed";
const orderOptions = Object.entries(orders).flatMap(([sort, order]) => [
  [sort, order.name] as const,
  [`${sort} ${reversed}`, order.reversed] as const,
]);

interface ChoiceProps {
  readonly label: string;
  readonly value: string;
  readonly options: readonly (readonly [string, string])[];
  readonly onValue: (value: string) => void;
}

function Choice({ label, value, options, onValue }: ChoiceProps) {
  return (
    <select aria-label={label} value={value} onChange={({ currentTarget }) => onValue(currentTarget.value)}>
      {options.map(([one, name]) => (
        <option key={one} value={one} selected={one === value}>
          {name}
        </option>
      ))}
    </select>
  );
}
