/** The formats that a rebuilt model can be written in, by the names that PyTorch and config.json have for them. */
export const outputDtypes = ["float32", "bfloat16", "float16"] as const;
export type OutputDtype = (typeof outputDtypes)[number];
