/** Who watches steps being taken; only where a trace is made. */
export interface Watcher {
  /** What follows belongs to another step. */
  began(): void;
  /**
   * A thread did the operation at `node`, answered `local`; a guest thread on `vcpu`, any other on -1; `choice`: with an older
   * value, 0 the oldest, or with the present one (-1).
   */
  did(thread: number, node: number, local: number, vcpu: number, choice: number): void;
  /** A guest thread's call begins, on its own: `node` is its first. */
  called(thread: number, node: number, vcpu: number): void;
  /**
   * A guest thread's call has ended on `vcpu`. `begunTold`: the update that its vCPU had been told of when it began; `told`: the one
   * that `vcpu` was told of; `latest`: the number of the latest time that had been returned when it began.
   */
  returned(vcpu: number, outcome: number, begunTold: number, told: number, latest: number): void;
  drained(processor: number, cell: number, value: number): void;
  ticked(): void;
}
