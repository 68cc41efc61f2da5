export { Limiter } from '@blockbraid/wire'
