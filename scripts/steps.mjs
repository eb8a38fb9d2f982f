// Running the steps of a script: commands with captured output, and a tally of what they found.
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));
export const bin = (name) => `${root}node_modules/.bin/${name}`;
export const has = (command, args = ['--version']) =>
  spawnSync(command, args, { stdio: 'ignore' }).status === 0;

/** Runs a command in the root; resolves to {status, output}. Output is shown only with `show`. */
export function run(command, args, { env = {}, cwd = root, show = false, timeoutSeconds = 1800 } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutSeconds * 1000,
    });
    let output = '';
    const take = (chunk) => {
      output += chunk;
      if (show) process.stdout.write(chunk);
    };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    child.on('error', (error) => resolve({ status: 127, output: `${output}${command}: ${error.message}\n` }));
    child.on('close', (status, signal) =>
      resolve({ status: status ?? 1, output: signal ? `${output}${command}: ended by ${signal}\n` : output }),
    );
  });
}

/** Counts of tests, with the failures' and skips' names. */
export class Tally {
  passed = 0;
  failed = 0;
  skipped = 0;
  failures = [];
  skips = [];

  /** One check that passed or failed; the output is shown when it failed. */
  check(name, ok, output = '') {
    if (ok) {
      this.passed += 1;
      console.log(`  ok      ${name}`);
    } else {
      this.failed += 1;
      this.failures.push(name);
      console.log(`  FAILED  ${name}\n${output.trimEnd()}`);
    }
    return ok;
  }

  skip(name, reason) {
    this.skipped += 1;
    this.skips.push(`${name}: ${reason}`);
    console.log(`  skipped ${name}: ${reason}`);
  }

  /** Adds the "N passed, N failed, N skipped" line that a test program closed with. */
  add(name, { status, output }) {
    const line = /(\d+) passed, (\d+) failed, (\d+) skipped\s*$/.exec(output);
    if (!line) return this.check(name, false, `${output}\n(no closing line; exit status ${status})`);
    const [passed, failed, skipped] = line.slice(1).map(Number);
    // A program that prints no failure and still exits non-zero (a sanitizer's report) has failed.
    const broke = status !== 0 && failed === 0;
    this.passed += passed;
    this.skipped += skipped;
    this.failed += failed + (broke ? 1 : 0);
    for (const skip of output.matchAll(/^ {2}skipped (.*)$/gm)) this.skips.push(`${name}: ${skip[1]}`);
    if (failed || broke) {
      this.failures.push(name);
      console.log(`  FAILED  ${name}\n${output.trimEnd()}`);
    } else {
      console.log(`  ok      ${name}: ${passed} passed${skipped ? `, ${skipped} skipped` : ''}`);
    }
    return !failed && !broke;
  }

  close() {
    for (const failure of this.failures) console.log(`failed: ${failure}`);
    for (const skip of this.skips) console.log(`skipped: ${skip}`);
    console.log(`${this.passed} passed, ${this.failed} failed, ${this.skipped} skipped`);
    return this.failed === 0 ? 0 : 1;
  }
}
