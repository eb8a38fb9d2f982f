/**
 * How long one stage of a pipeline (reading, coding, writing) has been at work. Stages overlap, so their times may add
 * up to more than passes on the clock; steps of one stage that overlap count once.
 */
export class StageClock {
  private atWork = 0;
  private begun = 0;
  private total = 0;

  /** Runs a step of the stage. */
  async time<T>(step: () => Promise<T>): Promise<T> {
    if (this.atWork++ === 0) this.begun = performance.now();
    try {
      return await step();
    } finally {
      if (--this.atWork === 0) this.total += performance.now() - this.begun;
    }
  }

  /** Of the steps that have ended. */
  get seconds(): number {
    return this.total / 1000;
  }
}
