// Resume for the official pusher-js: withResume(pusher) makes an instance go on from where it was after a lost connection.

import { Resume } from "./resume.js";

export { webStorage } from "./store.js";

const wrapped = new WeakMap();

/** Wrap an instance of pusher-js, before it is connected. Wrapped again it gives the same object. */
export function withResume(pusher, options = {}) {
  let resume = wrapped.get(pusher);
  if (resume === undefined) {
    resume = new Resume(pusher, options);
    wrapped.set(pusher, resume);
  }
  return resume;
}
