import { InputPool } from '@blockbraid/wire'
import { expect, it } from 'vitest'
import { giveTask, takeTask } from '../src/scsi/task.ts'

it('a task that has ended lets go of the memory that its data came in', () => {
  const pool = new InputPool(1)
  const task = takeTask()
  task.slabs.push(pool.take(), pool.take())
  giveTask(task)
  expect(pool.outstanding).toBe(0)
})
