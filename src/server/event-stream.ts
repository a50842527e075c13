/**
 * Server-sent events to everyone who listens. Each event is made into bytes once and handed to all. Nothing is kept for a
 * listener who does not read: beyond a limit his connection is closed, and his browser comes back and is told anew.
 */
import type { ServerResponse } from 'node:http';
import type { EventName, Told } from '../guest/observed.ts';

/** What may wait for one listener: the greeting, and some minutes of events. */
const PENDING_BYTES = 256 * 1024;
/** A line that says nothing, so that a connection which is gone is found even where nothing happens. */
const STILL_HERE_MS = 15_000;
/** How long a browser waits before it comes back. */
const RETRY_MS = 2000;

const HEADERS = { 'Content-Type': 'text/event-stream; charset=utf-8', 'X-Accel-Buffering': 'no' };

export function eventBytes<N extends EventName>(name: N, told: Told[N]): Buffer {
  return Buffer.from(`event: ${name}\ndata: ${JSON.stringify(told)}\n\n`);
}

export class EventStream {
  readonly #listeners = new Set<ServerResponse>();
  readonly #most: number;
  readonly #heartbeat: NodeJS.Timeout;

  /** `most`: listeners at once. */
  constructor(most: number) {
    this.#most = most;
    this.#heartbeat = setInterval(() => this.#send(Buffer.from(': still here\n\n')), STILL_HERE_MS);
    this.#heartbeat.unref();
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /** Takes a listener in and greets him; false, with nothing sent, where there are too many. */
  add(response: ServerResponse, greeting: Buffer): boolean {
    if (this.#listeners.size >= this.#most) return false;
    response.writeHead(200, HEADERS);
    response.write(`retry: ${RETRY_MS}\n\n`);
    response.write(greeting);
    this.#listeners.add(response);
    response.on('close', () => this.#listeners.delete(response));
    return true;
  }

  tell<N extends EventName>(name: N, told: Told[N]): void {
    if (this.#listeners.size > 0) this.#send(eventBytes(name, told));
  }

  close(): void {
    clearInterval(this.#heartbeat);
    for (const response of this.#listeners) response.destroy();
  }

  #send(bytes: Buffer): void {
    for (const response of this.#listeners) {
      if (response.writableLength <= PENDING_BYTES) response.write(bytes);
      else {
        this.#listeners.delete(response);
        response.destroy();
      }
    }
  }
}
