import type { Clock } from '../clock.ts'
import { BlockError } from '../errors.ts'
import type { Path } from '../target.ts'
import type { PathSource } from './path-slot.ts'

/** One try to open a path, within `timeout` ms; what answers too late or is another volume is closed again. */
export async function connectOnce(
  { target, info }: PathSource,
  clock: Clock,
  timeout: number,
  signal: AbortSignal,
): Promise<Path> {
  const controller = new AbortController()
  const connecting = target.connect(info, { signal: controller.signal })
  let given = false
  const path = await new Promise<Path>((resolve, reject) => {
    const giveUp = (error: BlockError): void => {
      if (given) return
      given = true
      finish()
      controller.abort(error)
      reject(error)
    }
    const onAbort = (): void => giveUp(new BlockError('ABORTED', `connecting ${info.id} was aborted`))
    const timer = clock.after(timeout, () =>
      giveUp(new BlockError('TIMED_OUT', `${info.address} did not answer within ${timeout} ms`)),
    )
    const finish = (): void => {
      timer.cancel()
      signal.removeEventListener('abort', onAbort)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    connecting.then(
      (path) => {
        if (given) return void path.close().catch(() => {})
        given = true
        finish()
        resolve(path)
      },
      (error: unknown) => {
        if (given) return
        given = true
        finish()
        reject(error)
      },
    )
  })
  if (path.volume === info.volume) return path
  await path.close()
  throw new BlockError('IDENTITY_CHANGED', `${info.id} now leads to volume ${path.volume}, not to ${info.volume}`)
}
