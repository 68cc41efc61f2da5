/** Waits until `test` holds; the error says what never happened. */
export async function until(test: () => boolean, what: string): Promise<void> {
  for (let left = 2000; left > 0; left--) {
    if (test()) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`never happened: ${what}`)
}
