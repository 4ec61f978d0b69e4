// pusher-js hands on an event's name, channel and data, but not its id. This reads the id beside it from the same frames:
// the browser's own WebSocket, with one more listener, which runs before that of pusher-js.

export let lastEventId = null;

window.WebSocket = class extends window.WebSocket {
  constructor(...args) {
    super(...args);
    this.addEventListener("message", (frame) => {
      try {
        lastEventId = JSON.parse(frame.data).id ?? null;
      } catch {
        lastEventId = null;
      }
    });
  }
};
