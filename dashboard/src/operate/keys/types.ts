/** Keys, as this page has them from the service. */
import type { ListedKeyFragment, MakeKeyMutation } from "../operations.ts";

export type ListedKey = ListedKeyFragment;
/** A key that has just been made, with the key itself. */
export type MadeKey = MakeKeyMutation["createApiKey"];
