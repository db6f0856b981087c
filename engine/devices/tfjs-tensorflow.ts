import type { Device } from "./device.ts";

export async function createTensorflowDevice(): Promise<Device> {
  throw new Error("neither @tensorflow/tfjs-node-gpu nor @tensorflow/tfjs-node can be imported");
}
