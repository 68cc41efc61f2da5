import type { Session } from 'node:inspector'

/** A function that runs. */
export interface Frame {
  readonly name: string
  readonly url: string
  /** From 1. */
  readonly line: number
}

/** How long the main thread may take to show what it runs, milliseconds: native code does not. */
const SHOW_TIME = 1000

/**
 * The functions that the main thread runs, the innermost first; none where it is inside native code. Undefined where
 * this Node has no inspector. For another thread: the main one is held for some milliseconds, and is not debugged after.
 */
export async function runningNow(): Promise<readonly Frame[] | undefined> {
  let session: Session
  try {
    const inspector = await import('node:inspector')
    session = new inspector.Session()
    session.connectToMainThread()
  } catch {
    return undefined
  }
  return new Promise((resolve) => {
    const urls = new Map<string, string>()
    const end = (frames: readonly Frame[]): void => {
      clearTimeout(timer)
      // Lets it run on, too.
      session.disconnect()
      resolve(frames)
    }
    const timer = setTimeout(end, SHOW_TIME, [])
    session.on('Debugger.scriptParsed', ({ params }) => urls.set(params.scriptId, params.url))
    session.on('Debugger.paused', ({ params }) => {
      const frames = params.callFrames.map(({ functionName, location }) => ({
        name: functionName,
        url: urls.get(location.scriptId) ?? '',
        line: location.lineNumber + 1,
      }))
      session.post('Debugger.resume', () => end(frames))
    })
    session.post('Debugger.enable')
    session.post('Debugger.pause')
  })
}
