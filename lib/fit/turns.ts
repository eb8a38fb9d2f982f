/** Long loops in JavaScript take turns with the event loop, so that timers, signals and servers stay live. */
import { setImmediate } from 'node:timers/promises';

const kTurnMs = 20;

/** Returns a function to await inside a long loop: it lets others run when the turn is over, and checks the signal. */
export function takeTurns(signal?: AbortSignal): () => Promise<void> {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < kTurnMs) return;
    await setImmediate();
    signal?.throwIfAborted();
    since = performance.now();
  };
}
