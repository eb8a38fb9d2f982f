/** `bince demo`: the main job on real images; `bince demo vectors`: the codec for vectors. */
import type { Command } from 'commander';
import { imagesDemo } from './demo/images_demo.js';
import { vectorsDemo } from './demo/vectors_demo.js';

/** The images are what `bince demo` shows, also by their name. */
export function demoCommand(): Command {
  return imagesDemo('demo')
    .enablePositionalOptions()
    .addCommand(imagesDemo('images'))
    .addCommand(vectorsDemo());
}
