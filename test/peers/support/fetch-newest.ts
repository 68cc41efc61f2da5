import { preparePrograms } from '../../debian/programs.ts'

/** Before the tests of the project `peers-newest`. */
export default async function setup(): Promise<void> {
  await preparePrograms('newest')
}
