export { ToldPortals } from '@blockbraid/wire'
