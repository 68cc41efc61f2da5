import type { Measured } from './measure.ts'
import { STEP } from './measure.ts'
import type { Scene } from './scenes.ts'
import { DURATION } from './scenes.ts'

// A panel, its plot inside, and what the plot's height stands for: the same in every picture.
const PANEL = { width: 440, height: 226 }
const PLOT = { left: 46, top: 44, width: 250, height: 150 }
const MOST = 8000
const COLOURS = ['#3b7dd8', '#e08a1e', '#2e9e6b', '#c05fa8']

const STYLE = `text { font: 12px system-ui, sans-serif; fill: #24292f }
.small { font-size: 11px; fill: #57606a }
.title { font-weight: 600; font-size: 13px }
.grid { stroke: #8c959f; stroke-opacity: .35 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .small { fill: #9da7b3 } }`

/** A picture of a policy: in each scene the I/Os per second of each path over time, their shares, and the latencies. */
export function draw(policy: string, shown: readonly { scene: Scene; measured: Measured }[]): string {
  const panels = shown.map(({ scene, measured }, index) => {
    const at = `translate(${(index % 2) * PANEL.width} ${30 + Math.floor(index / 2) * PANEL.height})`
    return `<g transform="${at}">\n${panel(scene.title, measured)}\n</g>`
  })
  const height = 30 + Math.ceil(shown.length / 2) * PANEL.height
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${2 * PANEL.width} ${height}" role="img">
<title>${policy}: I/Os per second of each path, in four scenes</title>
<style>${STYLE}</style>
<text class="title" x="16" y="20">${policy}</text>
<text class="small" x="${2 * PANEL.width - 16}" y="20" text-anchor="end">thousand I/Os per second of each path, over ${DURATION / 1000} s</text>
${panels.join('\n')}
</svg>
`
}

function panel(title: string, { steps, totals, p50, p99 }: Measured): string {
  const sum = totals.reduce((sum, total) => sum + total, 0)
  const legend = totals.map((total, path) => {
    const y = PLOT.top + PLOT.height - 12 - path * 20
    const share = `path ${path}: ${((total / sum) * 100).toFixed(0)} %`
    const x = PLOT.left + PLOT.width + 18
    return `<rect x="${x}" y="${y - 9}" width="10" height="10" fill="${COLOURS[path]}"/><text x="${x + 16}" y="${y}">${share}</text>`
  })
  const x = PLOT.left + PLOT.width + 18
  const rate = ((sum / DURATION) * 1000).toFixed(0)
  return [
    `<text class="title" x="16" y="24">${title}</text>`,
    ...grid(),
    ...bands(steps),
    ...legend,
    `<text x="${x}" y="${PLOT.top + 10}">${rate} I/Os per s</text>`,
    `<text x="${x}" y="${PLOT.top + 30}">p50 ${p50.toFixed(1)} ms</text>`,
    `<text x="${x}" y="${PLOT.top + 50}">p99 ${p99.toFixed(1)} ms</text>`,
  ].join('\n')
}

function grid(): string[] {
  const lines = [0, 2, 4, 6, 8].map((thousands) => {
    const y = place(thousands * 1000)
    const line = `<line class="grid" x1="${PLOT.left}" x2="${PLOT.left + PLOT.width}" y1="${y}" y2="${y}"/>`
    return `${line}<text class="small" x="${PLOT.left - 6}" y="${y + 4}" text-anchor="end">${thousands}</text>`
  })
  const times = [0, 1, 2].map((second) => {
    const x = PLOT.left + (second * 1000 * PLOT.width) / DURATION
    return `<text class="small" x="${x}" y="${PLOT.top + PLOT.height + 16}" text-anchor="middle">${second} s</text>`
  })
  return [...lines, ...times]
}

/** The paths one on top of the other; a step is as wide as its time. */
function bands(steps: readonly (readonly number[])[]): string[] {
  const width = (STEP * PLOT.width) / DURATION
  const tops = [steps.map(() => 0)]
  for (const path of COLOURS.keys()) {
    tops.push(steps.map((step, index) => tops[path]![index]! + (step[path]! * 1000) / STEP))
  }
  return COLOURS.map((colour, path) => {
    const there = tops[path + 1]!.map((top, index) => `V${place(top)}H${round(PLOT.left + (index + 1) * width)}`)
    const back = tops[path]!.map((top, index) => `V${place(top)}H${round(PLOT.left + index * width)}`)
    return `<path fill="${colour}" d="M${PLOT.left} ${place(0)}${[...there, ...back.toReversed()].join('')}Z"/>`
  })
}

const place = (rate: number): number => round(PLOT.top + PLOT.height * (1 - rate / MOST))
const round = (value: number): number => Math.round(value * 10) / 10
