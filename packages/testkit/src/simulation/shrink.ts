import type { Feature, Plan, PlanEvent } from './plan.ts'

/** Plays a plan; tells whether it still fails. */
export type Fails = (plan: Plan) => Promise<boolean>

// A schedule that goes on failing is played so often at most.
const MOST = 2000

/** Makes a plan that fails as short as it can be: it still fails, and no longer does without any one of its events. */
export async function shrinkPlan(plan: Plan, fails: Fails): Promise<Plan> {
  let left = MOST
  const still: Fails = (shorter) => (left-- > 0 ? fails(shorter) : Promise.resolve(false))
  const shorter = await withoutFeatures(await withoutEvents(plan, still), still)
  return withoutEvents(await smaller(shorter, still), still)
}

// Delta debugging (Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing Input, 2002).
async function withoutEvents(plan: Plan, fails: Fails): Promise<Plan> {
  let { events } = plan
  for (let size = events.length >> 1; size >= 1; ) {
    const before = events.length
    for (let from = 0; from < events.length; ) {
      const rest = [...events.slice(0, from), ...events.slice(from + size)]
      if (await fails({ ...plan, events: rest })) events = rest
      else from += size
    }
    if (size > 1) size >>= 1
    else if (events.length === before) break
  }
  return { ...plan, events }
}

async function withoutFeatures(plan: Plan, fails: Fails): Promise<Plan> {
  let { features } = plan
  for (const feature of features) {
    const rest: Feature[] = features.filter((other) => other !== feature)
    if (await fails({ ...plan, features: rest })) features = rest
  }
  return { ...plan, features }
}

/** Fewer hosts, volumes, clients, and requests at once. */
async function smaller(plan: Plan, fails: Fails): Promise<Plan> {
  let found = plan
  for (const field of ['hosts', 'volumes', 'clients', 'depth'] as const) {
    for (let value = 1; value < found.shape[field]; value++) {
      const shape = { ...found.shape, [field]: value }
      const events = found.events.filter((event) => fits(event, shape))
      if (!(await fails({ ...found, shape, events }))) continue
      found = { ...found, shape, events }
      break
    }
  }
  return found
}

function fits(event: PlanEvent, { hosts, volumes, clients }: Plan['shape']): boolean {
  if ('host' in event && event.host >= hosts) return false
  if ('volume' in event && event.volume >= volumes) return false
  return !('client' in event) || event.client < hosts * volumes * clients
}
