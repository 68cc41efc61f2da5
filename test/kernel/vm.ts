// node test/kernel/vm.ts [options] [--] command [argument…]: see --help.
import { parseArgs } from 'node:util'
import { prepareJudges } from '../debian/judges.ts'
import { kernelSuites, prepareKernel } from './vm/kernels.ts'
import { inherited, MACHINE_FAILED, runVisibly } from './vm/visible.ts'

const help = `node test/kernel/vm.ts [options] [--] command [argument...]

Runs a command in a Linux kernel of its own, under QEMU, as if it ran here: same files, same folder, its output,
its exit code. What it writes is gone afterwards.

  --kernel NAME    ${Object.keys(kernelSuites).join(', ')} (default trixie)
  --refresh        fetch the newest kernel of that name again
  --modules LIST   modules to load before, separated by commas
  --judges         has nvme-cli, open-iscsi, multipath-tools and others in the folder BLOCKBRAID_JUDGES
  --limit SECONDS  for everything (default 300)
  --console        show what the kernel says

Exit codes: the command's; 124 time-out; 125 the machine failed; 126 the command ended with 0, but the kernel complained.`

const { values, positionals } = parseArgs({
  options: {
    kernel: { type: 'string', default: 'trixie' },
    refresh: { type: 'boolean', default: false },
    modules: { type: 'string', default: '' },
    judges: { type: 'boolean', default: false },
    limit: { type: 'string', default: '300' },
    console: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
  allowPositionals: true,
})
if (values.help || positionals.length === 0) {
  console.log(help)
  process.exit(values.help ? 0 : 2)
}
const say = (what: string): void => console.error(`vm: ${what}`)
const fail = (error: Error): never => {
  say(error.message)
  process.exit(MACHINE_FAILED)
}
const judges = values.judges ? { BLOCKBRAID_JUDGES: await prepareJudges(say).catch(fail) } : {}
const kernel = await prepareKernel(values.kernel, values.refresh, say).catch(fail)
const { code } = await runVisibly({
  kernel,
  command: positionals,
  cwd: process.cwd(),
  env: { ...inherited(), ...judges },
  modules: values.modules.split(',').filter(Boolean),
  limit: Number(values.limit),
  console: values.console,
})
process.exitCode = code
