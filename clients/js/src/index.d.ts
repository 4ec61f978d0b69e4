import type { Channel, ConnectionManager } from "pusher-js";

/** What is used of an instance of pusher-js. */
export interface PusherInstance {
  connection: ConnectionManager;
  channel(name: string): Channel;
  allChannels(): Channel[];
  unsubscribe(name: string): void;
  send_event(event: string, data: any, channel?: string): boolean;
}

/** Stream id to the last number seen. */
export type Position = Record<string, number>;

/** The server took a subscription. */
export interface Subscribed {
  channel: string;
  /**
   * true: nothing is missing, and what was missed follows; false: something may be missing, load anew what is shown;
   * null: the channel was joined for the first time, without a position.
   */
  recovered: boolean | null;
  /** Where the client is now; null: the server does not know positions. */
  position: Position | null;
}

/** The client has got further in a channel. */
export interface Moved {
  channel: string;
  position: Position;
}

/** Where positions are kept between two pages or programs, as text. */
export interface PositionStore {
  load(): string | null;
  save(text: string): void;
}

export interface ResumeOptions {
  /** Begin from the positions in this store, and keep them there. Default: none. */
  store?: PositionStore | null;
  /** Begin these channels from these positions; they win over those of the store. */
  positions?: Record<string, Position>;
  /**
   * Waits before the next connection, in milliseconds: a random time up to a bound that doubles from `base` to `cap`, and
   * `backOff` besides after 4100 to 4199; none after 4200 to 4299, unless the connection was shorter than `stable`.
   * false: pusher-js's own waits.
   */
  reconnect?: { base?: number; cap?: number; backOff?: number; stable?: number } | false;
  /** For tests: numbers from 0 to 1, and milliseconds of a clock that only goes forward. */
  random?: () => number;
  now?: () => number;
}

export interface Resume {
  /** "subscribed": a subscription was taken, also after a reconnect. "position": the client has got further. */
  on(event: "subscribed", listener: (told: Subscribed) => void): () => void;
  on(event: "position", listener: (told: Moved) => void): () => void;
  /** Where the client is in a channel; null: it does not follow it, or no server has told a position yet. */
  position(channel: string): Position | null;
  /** The event id of the event whose callbacks run right now. */
  readonly eventId: string | null;
  /** Events that came a second time and were dropped. */
  readonly duplicates: number;
  /** Store the positions now. */
  save(): void;
}

/** Make an instance of pusher-js go on from where it was after a lost connection. Call it right after `new Pusher(…)`. */
export function withResume(pusher: PusherInstance, options?: ResumeOptions): Resume;

/** Keeps positions in the browser's storage: in sessionStorage, unless another is given. */
export function webStorage(name?: string, storage?: Pick<Storage, "getItem" | "setItem">): PositionStore;
