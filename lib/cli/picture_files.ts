/** Pictures as files: SVG, and PNG where the optional package for it is there. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { NewFileSink } from '../codec/byte_sink.js';
import { fileError } from '../codec/file_errors.js';
import { BinceError } from '../errors.js';
import { svgDocument, svgToPng } from '../report/index.js';
import type { Session } from './command.js';
import type { Picture } from './run_plots.js';

/** Writes pictures and remembers their names. */
export class PictureFiles {
  readonly written: string[] = [];
  readonly #session: Session;
  #renderer = true;

  constructor(session: Session) {
    this.#session = session;
  }

  async write(folder: string, pictures: readonly Picture[]): Promise<void> {
    await mkdir(folder, { recursive: true }).catch((cause: unknown) => {
      throw fileError('make the folder', folder, cause);
    });
    for (const { name, drawing } of pictures) {
      await this.#file(join(folder, `${name}.svg`), Buffer.from(svgDocument(drawing)));
      const png = this.#renderer ? await this.#render(drawing) : undefined;
      if (png) await this.#file(join(folder, `${name}.png`), png);
    }
  }

  /** A PNG, or a remark, once, that the optional package for it is missing. */
  async #render(drawing: Picture['drawing']): Promise<Buffer | undefined> {
    try {
      return await svgToPng(drawing);
    } catch (error) {
      if (!(error instanceof BinceError) || error.code !== 'BINCE_UNSUPPORTED') throw error;
      this.#session.report.note(
        `${error.message}${error.hint ? ` (${error.hint})` : ''}; only SVG is written`,
      );
      this.#renderer = false;
      return undefined;
    }
  }

  async #file(path: string, bytes: Buffer): Promise<void> {
    const sink = await NewFileSink.create(path);
    try {
      await sink.write(bytes);
    } catch (error) {
      await sink.abort();
      throw error;
    }
    await sink.close();
    this.written.push(path);
  }
}
