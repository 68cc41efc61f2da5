import { constants } from 'node:os'
import { expect, it } from 'vitest'
import { errnoName } from '../src/errno-names.ts'
import { LinuxError } from '../src/index.ts'

it('names every errno as Node does', () => {
  for (const [name, errno] of Object.entries(constants.errno)) {
    if (['EWOULDBLOCK', 'ENOTSUP', 'EDEADLOCK'].includes(name)) continue
    expect(errnoName(errno)).toBe(name)
  }
  expect(errnoName(133)).toBe('EHWPOISON')
  expect(errnoName(41)).toBe('E41')
  expect(errnoName(4000)).toBe('E4000')
})

it('says which call failed, how, and why', () => {
  const error = new LinuxError('ioctl', 1)
  expect(error).toMatchObject({ name: 'LinuxError', code: 'EPERM', errno: 1, syscall: 'ioctl' })
  expect(error.message).toBe('ioctl: EPERM, operation not permitted')
  expect(new LinuxError('netlink', 22, { reason: 'no index' }).message).toBe('netlink: EINVAL, no index')
  expect(new LinuxError('x', 132).message).toBe('x: ERFKILL, errno 132')
})

it('is recognised by its shape', () => {
  expect(LinuxError.is(new LinuxError('ioctl', 1))).toBe(true)
  expect(LinuxError.is(Object.assign(new Error(), { name: 'LinuxError', errno: 1, syscall: 'x' }))).toBe(true)
  expect(LinuxError.is(new Error('x'))).toBe(false)
  expect(LinuxError.is(undefined)).toBe(false)
})
