/** How the index is made and read: both must agree. */
import type { Options } from "minisearch";

export interface Section {
  readonly address: string;
  readonly page: string;
  readonly title: string;
  readonly text: string;
}

export const options: Options<Section> = {
  idField: "address",
  fields: ["title", "page", "text"],
  storeFields: ["page", "title"],
  searchOptions: { boost: { title: 4, page: 2 }, prefix: true, fuzzy: 0.15, combineWith: "AND" },
};
