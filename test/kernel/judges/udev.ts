import { mkdirSync } from 'node:fs'
import { until } from '../guest/wait.ts'
import { daemon, judge, openRoot } from './root.ts'

let started: Promise<void> | undefined

/** Starts udev, which names block devices and tells multipathd of them. */
export function startUdev(): Promise<void> {
  return (started ??= run())
}

async function run(): Promise<void> {
  await openRoot()
  mkdirSync('/run/udev', { recursive: true })
  daemon('/usr/lib/systemd/systemd-udevd')
  await until('udev answers', () =>
    judge('udevadm', 'control', '--ping').then(
      () => true,
      () => false,
    ),
  )
}
