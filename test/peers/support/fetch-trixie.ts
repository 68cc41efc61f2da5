import { preparePrograms } from '../../debian/programs.ts'

/** Before the tests of the project `peers-trixie`. */
export default async function setup(): Promise<void> {
  await preparePrograms('trixie')
}
