// Loaded before a script (`--import`): its packages then come from the checkout that BLOCKBRAID_CHECKOUT names, so that
// old and new are measured by the same script.
import { registerHooks } from 'node:module'
import { pathToFileURL } from 'node:url'

const parentURL = pathToFileURL(`${process.env['BLOCKBRAID_CHECKOUT']}/package.json`).href

registerHooks({
  resolve: (specifier, context, next) =>
    next(specifier, specifier.startsWith('@blockbraid/') ? { ...context, parentURL } : context),
})
