/**
 * The simulator: core in virtual time over a simulated array, by seeded schedules that are judged. It needs no
 * event loop and nothing of the machine.
 * @packageDocumentation
 */

export { drawPlan } from './draw.ts'
export type * from './parts.ts'
export type {
  AccessChange,
  FaultEvent,
  Feature,
  Happens,
  IoEvent,
  JudgedOption,
  Plan,
  PlanEvent,
  Shape,
  ShapeOptions,
  VolumeFlag,
} from './plan.ts'
export { features } from './plan.ts'
export type { PrintOptions } from './print-plan.ts'
export { printTest } from './print-plan.ts'
export type { Outcome, RunOptions } from './run.ts'
export { runPlan } from './run.ts'
export type { Seams } from './seams.ts'
export type { Fails } from './shrink.ts'
export { shrinkPlan } from './shrink.ts'
