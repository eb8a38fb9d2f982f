import type { Command } from 'commander';
import { createCommand } from './command.js';
export function demoCommand(): Command {
  return createCommand({ name: 'demo', summary: '', examples: [] });
}
