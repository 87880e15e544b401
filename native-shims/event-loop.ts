/*
 * Node's own event loop as something that can be polled: libuv waits on one epoll fd, which is readable while there is
 * anything for it to do (a signal's handler to run, a result of another thread to deliver). So the guard's
 * one poll(2) can wait for that too, and give the loop a turn when it needs one instead of once in a while.
 */
import { declareOptional } from './libc.js';

/** The fd, or -1 if this Node does not export what it takes. */
export function eventLoopFd(): number {
  const defaultLoop = declareOptional('uintptr_t uv_default_loop()');
  const backendFd = declareOptional('int uv_backend_fd(uintptr_t loop)');
  return defaultLoop === null || backendFd === null ? -1 : backendFd(defaultLoop());
}

/** Gives Node's event loop a turn. Not by node:timers/promises, which the guard would keep. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
