/**
 * Who is let in. The server listens on this machine, but any page that this machine's browser shows can send requests to
 * it: so a request must name this machine in Host (a name that an attacker's DNS points here is refused), and one that a
 * page has sent must come from our own page. There is nothing to send here, so a request with a body is refused too.
 */
import type { IncomingMessage } from 'node:http';
import { hostname } from 'node:os';

export interface Refusal {
  readonly status: number;
  /** One line, for whoever sent the request. */
  readonly why: string;
}

/** Why `request` is not answered; undefined where it is. */
export function refusalOf(request: IncomingMessage): Refusal | undefined {
  const { method, headers, headersDistinct, socket } = request;
  if (method !== 'GET' && method !== 'HEAD') return { status: 405, why: 'only GET and HEAD are answered here' };
  if (Number(headers['content-length'] ?? 0) !== 0 || headers['transfer-encoding'] !== undefined) {
    return { status: 413, why: 'a request with a body is not answered here' };
  }
  const { host: names } = headersDistinct;
  if (names?.length !== 1) return { status: 400, why: 'a request names one Host' };
  if (!namesThisMachine(headers.host, socket.localAddress)) {
    return { status: 403, why: 'the Host header does not name this machine: use its address, or localhost' };
  }
  if (headers.origin !== undefined && headers.origin !== `http://${headers.host}`) {
    return { status: 403, why: 'the request comes from another page' };
  }
  const site = headers['sec-fetch-site'];
  if ((site === 'cross-site' || site === 'same-site') && headers['sec-fetch-mode'] !== 'navigate') {
    return { status: 403, why: 'the request comes from another page' };
  }
  return undefined;
}

/** `host`: the header's value, its port ignored, as a tunnel may change it. `address`: where the request arrived. */
export function namesThisMachine(host: string | undefined, address: string | undefined): boolean {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::\d{1,5})?$/i.exec(host ?? '');
  const name = (match?.[1] ?? match?.[2])?.toLowerCase();
  if (name === undefined || address === undefined) return false;
  const here = address.replace(/^::ffff:/, ''); // an IPv4 address on a socket for both
  if (name === here) return true;
  return isLoopback(here) ? name === 'localhost' || isLoopback(name) : name === hostname().toLowerCase();
}

/** Whether `address` is reached from this machine alone. */
export function isLoopback(address: string): boolean {
  return address === '::1' || /^127(\.\d{1,3}){3}$/.test(address);
}
