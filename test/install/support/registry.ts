import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** Rejects with the reason where npm reaches no registry. */
export async function reachRegistry(): Promise<void> {
  const patience = ['--fetch-retries=0', '--fetch-timeout=10000']
  try {
    await promisify(execFile)('npm', ['view', 'typescript', 'name', '--prefer-online', ...patience])
  } catch {
    throw new Error('needs a registry of npm packages, and `npm view typescript` gets no answer')
  }
}
