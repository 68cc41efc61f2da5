export const root: string
export function findCompiler(): string | undefined
export function sources(): string[]
export function headers(): string[]
export function compile(compiler: string, output: string, flags?: string[]): string | undefined
