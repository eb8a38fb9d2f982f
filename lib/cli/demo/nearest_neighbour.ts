/** Nearest-neighbour accuracy on several threads, with the event loop free. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { SparseRows } from './sparse_rows.js';

const kMaxThreads = 8;

export interface Labelled {
  readonly rows: SparseRows;
  readonly labels: Int32Array;
}

/** The share of queries whose nearest row (Euclidean) has their label. */
export async function neighbourAccuracy(
  known: Labelled,
  queries: Float32Array,
  labels: Int32Array,
  signal?: AbortSignal,
): Promise<number> {
  const { channels } = known.rows;
  const total = queries.length / channels;
  const threads = Math.min(kMaxThreads, availableParallelism(), Math.ceil(total / 8));
  const edges = Array.from({ length: threads + 1 }, (_, i) => Math.floor((i * total) / threads));
  const shares = await Promise.all(
    edges.slice(1).map((to, i) => {
      const share = queries.slice(edges[i]! * channels, to * channels);
      return nearestOnThread(known.rows, share, signal);
    }),
  );
  let right = 0;
  for (const [i, share] of shares.entries())
    for (let q = 0; q < share.length; q++) if (known.labels[share[q]!] === labels[edges[i]! + q]) right++;
  return right / total;
}

async function nearestOnThread(
  rows: SparseRows,
  queries: Float32Array,
  signal: AbortSignal | undefined,
): Promise<Int32Array> {
  signal?.throwIfAborted();
  const worker = new Worker(new URL('./nearest_worker.js', import.meta.url), {
    workerData: { rows, queries },
  });
  const stop = () => void worker.terminate();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    return await new Promise<Int32Array>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', () =>
        reject(signal?.aborted ? signal.reason : new Error('a worker thread ended early')),
      );
    });
  } finally {
    signal?.removeEventListener('abort', stop);
    await worker.terminate();
  }
}
