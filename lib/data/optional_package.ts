/** Packages that are used only by those who have them. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BinceError } from '../errors.js';

/** The folder of an installed package, looked for beside bince and then from the working folder. */
export function findPackage(name: string, purpose: string): string {
  for (const from of [import.meta.url, pathToFileURL(join(process.cwd(), 'here.js')).href]) {
    try {
      return dirname(createRequire(from).resolve(`${name}/package.json`));
    } catch {
      // Not there: the next place, or the error below.
    }
  }
  throw new BinceError(
    'BINCE_NOT_FOUND',
    `${purpose} needs the npm package ${name}, which is not installed`,
    {
      hint: `npm i ${name}`,
    },
  );
}

export type Sharp = typeof import('sharp')['default'];

/** The image library sharp; BINCE_NOT_FOUND with the command that installs it where it is missing. */
export async function loadSharp(purpose: string): Promise<Sharp> {
  try {
    return (await import('sharp')).default;
  } catch (cause) {
    throw new BinceError(
      'BINCE_NOT_FOUND',
      `${purpose} needs the npm package sharp, which cannot be loaded`,
      {
        hint: 'npm i sharp',
        cause,
      },
    );
  }
}
