/*
 * The HTTP server: three resources, GET and HEAD, no request body, and bounds for everything that a stranger can make grow.
 *
 * Connections are few. When there is one too many, the one that has been quiet for longest goes, not the new one: whoever holds
 * hundreds of them open and says nothing keeps nobody out. Bad requests, headers that are too large or too slow are answered (400, 431, 408)
 * and closed by node:http itself.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { prefersOpenMetrics } from './accept.js';
import { OPENMETRICS_TYPE, TEXT_TYPE } from './exposition.js';
import type { ListenAddress } from './listen-address.js';
import type { Observer } from './observer.js';
import { PAGE_POLICY, pageFor } from './page.js';

/** A Prometheus, a second one, a browser with six connections, a health check; and then some. */
const CONNECTIONS_MAX = 64;
/** Prometheus sends 400 bytes. */
const HEADER_BYTES_MAX = 8 * 1024;
const HEADERS_MS_MAX = 5000;
const REQUEST_MS_MAX = 10_000;
/** Longer than Prometheus's usual interval of 15 s, so that it keeps its connection. */
const KEEP_ALIVE_MS = 20_000;
/** Enough for 25 minutes of Prometheus; what else is sent ahead on the same connection is not answered. */
const REQUESTS_MAX = 100;
/** Without a byte in either direction: somebody who does not read his answer. */
const IDLE_MS_MAX = 30_000;
/** How often node:http looks for those that are too slow. */
const CHECK_MS = 1000;

const METHODS = 'GET, HEAD';

interface Answer {
  status: number;
  type: string;
  body: string;
  headers?: Readonly<Record<string, string>>;
}

const TEXT = 'text/plain; charset=utf-8';

export interface Exporter {
  /** Where it listens: with the port that it got. */
  address: ListenAddress;
  /** Closes everything that is open; resolves when that is done. */
  close: () => Promise<void>;
}

/** @throws an error of node:net, with its code, if it can't listen there */
export async function serve(observer: Observer, { host, port }: ListenAddress): Promise<Exporter> {
  const server = createServer({
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: HEADERS_MS_MAX,
    requestTimeout: REQUEST_MS_MAX,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: CHECK_MS,
  });
  server.timeout = IDLE_MS_MAX;
  server.maxRequestsPerSocket = REQUESTS_MAX;
  const answering = new Set<Socket>();
  boundConnections(server, answering);
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    answering.add(request.socket);
    // What goes wrong on the way (EPIPE, ECONNRESET) ends that connection, nothing else.
    response.on('error', () => undefined).on('close', () => answering.delete(request.socket));
    request.on('error', () => undefined);
    void send(observer, request, response);
  };
  // Who asks first whether he may send a body gets the answer, not "100 Continue".
  server.on('request', answer).on('checkContinue', answer);
  await listening(server, host, port);
  // An error of the listening socket (EMFILE at accept) costs that connection only.
  server.on('error', () => undefined);
  return { address: { host, port: (server.address() as AddressInfo).port }, close: () => closed(server) };
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** Keeps to CONNECTIONS_MAX: the oldest goes that is not being answered, or else the oldest; never the new one. */
function boundConnections(server: Server, answering: ReadonlySet<Socket>): void {
  const open = new Set<Socket>();
  server.on('connection', (socket) => {
    if (open.size >= CONNECTIONS_MAX) {
      const goes = oldest(open, answering);
      open.delete(goes);
      goes.destroy();
    }
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
}

/** Of a set that is not empty. */
function oldest(open: ReadonlySet<Socket>, answering: ReadonlySet<Socket>): Socket {
  for (const socket of open) if (!answering.has(socket)) return socket;
  const [first] = open;
  return first as Socket;
}

async function send(observer: Observer, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let answer: Answer;
  try {
    answer = refusal(request) ?? (await answerTo(observer, request));
  } catch (error) {
    answer = { status: 500, type: TEXT, body: `${error instanceof Error ? error.message : 'unknown error'}\n` };
  }
  const { status, type, body, headers } = answer;
  const bytes = Buffer.from(body);
  response.writeHead(status, {
    'content-type': type,
    'content-length': bytes.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'content-security-policy': PAGE_POLICY,
    ...headers,
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

/** What no resource accepts. */
function refusal({ method, headers }: IncomingMessage): Answer | null {
  const close = { connection: 'close' };
  if (method !== 'GET' && method !== 'HEAD')
    return {
      status: 405,
      type: TEXT,
      body: `method not allowed (valid: ${METHODS})\n`,
      headers: { allow: METHODS, ...close },
    };
  if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0)
    return { status: 413, type: TEXT, body: 'no body is accepted\n', headers: close };
  return null;
}

async function answerTo(observer: Observer, request: IncomingMessage): Promise<Answer> {
  switch (pathOf(request.url ?? '')) {
    case '/metrics': {
      const type = prefersOpenMetrics(request.headers.accept) ? OPENMETRICS_TYPE : TEXT_TYPE;
      return { status: 200, type, body: await observer.metrics(type), headers: { vary: 'accept' } };
    }
    case '/healthz': {
      const { health } = observer.look();
      return health.up
        ? { status: 200, type: TEXT, body: 'ok\n' }
        : { status: 503, type: TEXT, body: `${health.why}\n` };
    }
    case '/':
      return { status: 200, type: 'text/html; charset=utf-8', body: pageFor(observer.look()) };
    default:
      return { status: 404, type: TEXT, body: 'not found (valid: /, /metrics, /healthz)\n' };
  }
}

/** Without the query; of a whole URL, which proxies send, what follows its host. */
function pathOf(url: string): string {
  return url.replace(/^https?:\/\/[^/?#]*(?=[/?#]|$)/i, '').replace(/[?#].*$/s, '') || '/';
}
