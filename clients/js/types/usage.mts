// What an application in TypeScript writes; `npm test` checks that the types allow it.

import Pusher from "pusher-js";
import { webStorage, withResume, type Position, type Resume } from "wsmesh-resume";

declare const pusher: InstanceType<typeof Pusher.default>;

const resume: Resume = withResume(pusher, { store: webStorage(), positions: { news: { "n1~a": 4 } } });
const stop: () => void = resume.on("subscribed", ({ channel, recovered }) => {
  if (recovered === false) location.assign(`/${channel}`);
});
resume.on("position", ({ position }) => console.log(Object.keys(position)));
const position: Position | null = resume.position("news");
withResume(pusher, { reconnect: false });
withResume(pusher, { reconnect: { cap: 5000 }, store: webStorage("page", localStorage) });

// @ts-expect-error there is no such event
resume.on("lost", () => undefined);
// @ts-expect-error it is read only
resume.eventId = "x";

export { position, stop };
