// Positions as text, and where it is kept.

import { positionOf } from "./positions.js";

/** Keeps positions in the browser's storage; in sessionStorage, which each tab has for itself, unless another is given. */
export function webStorage(name = "wsmesh-resume", storage = globalThis.sessionStorage) {
  return {
    load: () => storage.getItem(name),
    save: (text) => storage.setItem(name, text),
  };
}

/** The text of pairs of channel and position. */
export function encode(pairs) {
  return JSON.stringify({ version: 1, channels: pairs });
}

/** The pairs in a text; whatever is none of ours is left out. */
export function decode(text) {
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    return [];
  }
  if (found?.version !== 1 || !Array.isArray(found.channels)) return [];
  return found.channels
    .filter((pair) => Array.isArray(pair) && typeof pair[0] === "string")
    .map(([name, position]) => [name, positionOf(position)])
    .filter(([, position]) => position !== null);
}
