/** One thread's share of the queries of nearest_neighbour.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { nearestRows, type SparseRows } from './sparse_rows.js';

const { rows, queries } = workerData as { rows: SparseRows; queries: Float32Array };
parentPort?.postMessage(nearestRows(rows, queries));
