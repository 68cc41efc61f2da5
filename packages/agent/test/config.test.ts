// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables are part of what is tested
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemHost } from '@blockbraid/core'
import { afterAll, describe, expect, it } from 'vitest'
import { loadConfig, parseConfig } from '../src/config/load.ts'
import { parseDuration, parseSize } from '../src/config/units.ts'
import { runAgent } from '../src/index.ts'
import { loadPolicy, loadTarget, loadTransport } from '../src/plugins/plugins.ts'

const env = {
  DHCHAP: 'DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:',
  CHAP_SECRET: 'hunter2hunter2',
  PORT: '10810',
  READ_ONLY: 'true',
  EMPTY: '',
}
const parse = (text: string) => parseConfig(text, 'bb.yaml', env)

function messageOfBad(text: string): string {
  try {
    parse(text)
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`
  }
  return 'no error'
}

/** A whole config around one line inside its only device. */
const device = (line: string): string => `targets:
  - use: memory
devices:
  - volume: "*"
    transport: { use: nbd, socket: /tmp/x }
    ${line}
`
const transport = (line: string): string => `targets: [use: memory]
devices:
  - volume: "*"
    transport:
      use: nbd
      ${line}
`
const target = (line: string): string => `targets:
  - use: memory
    ${line}
devices: [{ volume: "*", transport: { use: nbd, port: 0 } }]
`

describe('config', () => {
  it("reads the design's example, with braces that need no quotes", () => {
    const config = parse(`control: /run/blockbraid/control.sock
initiator: iqn.2026-11.io.blockbraid:host1
targets:
  - use: iscsi                 # any npm module or ./file works
    portals: [127.0.0.1:3260, 127.0.0.2:3260]
    chap: { user: alice, secret: \${CHAP_SECRET} }
  - use: memory
    volumes: [{ size: 512MiB, blockSize: 4096 }]
    initiator: its-own
devices:
  - volume: "*"
    name: vol-{n}
    policy: { use: queue-depth }
    multipath: { noPathTimeout: 1.5s, ioTimeout: 0, weights: { a: 2 } }
    transport: { use: nbd, socket: /run/blockbraid/{name}.sock, port: \${PORT}, readOnly: \${READ_ONLY} }
  - volume: naa.1
    policy: ./mine.ts
    transport: { use: nbd, port: 0 }
`)
    expect(config).toEqual({
      folder: process.cwd(),
      control: '/run/blockbraid/control.sock',
      targets: [
        {
          use: 'iscsi',
          options: {
            initiator: 'iqn.2026-11.io.blockbraid:host1',
            portals: ['127.0.0.1:3260', '127.0.0.2:3260'],
            chap: { user: 'alice', secret: 'hunter2hunter2' },
          },
          at: 'bb.yaml:4:5',
        },
        {
          use: 'memory',
          options: { initiator: 'its-own', volumes: [{ size: 2 ** 29, blockSize: 4096 }] },
          at: 'bb.yaml:7:5',
        },
      ],
      devices: [
        {
          volume: '*',
          name: 'vol-{n}',
          policy: { use: 'queue-depth', options: {}, at: 'bb.yaml:13:13' },
          multipath: { noPathTimeout: 1500, ioTimeout: 0, weights: { a: 2 } },
          transport: {
            use: 'nbd',
            options: { socket: '/run/blockbraid/{name}.sock', port: 10810, readOnly: true },
            at: 'bb.yaml:15:16',
          },
          at: 'bb.yaml:11:5',
        },
        {
          volume: 'naa.1',
          name: '{volume}',
          policy: { use: './mine.ts', options: {}, at: 'bb.yaml:17:13' },
          transport: { use: 'nbd', options: { port: 0 }, at: 'bb.yaml:18:16' },
          at: 'bb.yaml:16:5',
        },
      ],
    })
  })

  it('takes two entries of one volume that share it, a state folder, and every placeholder without quotes', () => {
    const shared = '{ volume: "*", name: a-{serial}-{lun}, shared: true, transport: { use: nbd, port: 0 } }'
    const { state, devices } = parse(`state: /srv/state
targets: [use: memory]
devices: [${shared}, ${shared.replace('a-', 'b-')}]
`)
    expect(state).toBe('/srv/state')
    expect(devices.map(({ name, shared: isShared }) => [name, isShared])).toEqual([
      ['a-{serial}-{lun}', true],
      ['b-{serial}-{lun}', true],
    ])
  })

  it.each([
    ['', 'bb.yaml:1:1: the file is empty: it must be a mapping with targets and devices'],
    ['just text', 'bb.yaml:1:1: the file is "just text": it must be a mapping with targets and devices'],
    ['targets: [use: memory]', 'bb.yaml:1:1: devices is missing: add a list of devices'],
    ['devices: 5\ntargets: [use: memory]', 'bb.yaml:1:10: devices is 5: it must be a list of devices'],
    ['targets: []\ndevices: 1', 'bb.yaml:1:10: targets is an empty list: it must be a list of targets'],
    ['target: [use: memory]\ndevices: []', 'bb.yaml:1:1: target is not a known option: did you mean targets?'],
    [
      'targets: [ports: 4]\ndevices: [{volume: x, transport: {use: x}}]',
      'bb.yaml:1:11: targets[0].use is missing: add the name of a plugin, a module or a ./file such as memory',
    ],
    [device('name: 7'), 'bb.yaml:6:11: devices[0].name is 7: it must be a name such as vol-{n}'],
    [device('polcy: x'), 'bb.yaml:6:5: devices[0].polcy is not a known option: did you mean policy?'],
    [
      device('policy:'),
      'bb.yaml:6:12: devices[0].policy is empty: it must be the name of a policy, or a mapping with use such as round-robin',
    ],
    [
      device('policy: { use: round-robin, minIos: 0 }'),
      'bb.yaml:6:41: devices[0].policy.minIos is 0: it must be a whole number, 1 or more',
    ],
    [
      device('multipath: { noPathTimeout: soon }'),
      'bb.yaml:6:33: devices[0].multipath.noPathTimeout is "soon": it must be a duration with a unit ms, s, m or h, or in milliseconds, such as 30s',
    ],
    [
      device('multipath: { weights: { a: 0 } }'),
      'bb.yaml:6:32: devices[0].multipath.weights.a is 0: it must be a weight above 0',
    ],
    [device('shared: maybe'), 'bb.yaml:6:13: devices[0].shared is "maybe": it must be true or false'],
    [
      device('shared: true\n  - { volume: "*", name: b, transport: { use: nbd, port: 0 } }'),
      'bb.yaml:7:15: devices[1].volume is "*", as is devices[0].volume at bb.yaml:4:13: each volume would be one disk under two names: remove one entry, or put "shared: true" into both',
    ],
    [
      device(
        '\n  - { volume: eui.b, transport: { use: nbd } }\n  - { volume: eui.b, shared: true, transport: { use: nbd } }',
      ),
      'bb.yaml:8:15: devices[2].volume is "eui.b", as is devices[1].volume at bb.yaml:7:15: the volume would be one disk under two names: remove one entry, or put "shared: true" into both',
    ],
    [`state: ''\n${device('')}`, 'bb.yaml:1:8: state is "": it must be a folder such as /var/lib/blockbraid'],
    [transport('port: many'), 'bb.yaml:6:13: devices[0].transport.port is "many": it must be a TCP port such as 10809'],
    [
      transport('port: ${CHAP_SECRET}'),
      'bb.yaml:6:13: devices[0].transport.port is ${CHAP_SECRET}: it must be a TCP port such as 10809',
    ],
    [transport('sockett: x'), 'bb.yaml:6:7: devices[0].transport.sockett is not a known option: did you mean socket?'],
    [
      transport('lanes: 2'),
      'bb.yaml:6:7: devices[0].transport.lanes is not a known option: known here: use, socket, socketMode, host, port, tls, readOnly, simpleReplies, maxConnections, maxRequests, maxInflightBytes, kernel, connections, takeOverTimeout, resendInterval, requestTimeout, partitions, rotational, handshakeTimeout',
    ],
    [transport('tls: { cert: x }'), 'bb.yaml:6:12: devices[0].transport.tls.key is missing: add a PEM text'],
    [
      transport('tls: { cert: x, key: 12345 }'),
      'bb.yaml:6:28: devices[0].transport.tls.key is wrong: it must be a PEM text',
    ],
    [transport('prot: 5'), 'bb.yaml:6:7: devices[0].transport.prot is not a known option: did you mean port?'],
    [transport('socket: ${NOPE}'), 'bb.yaml:6:15: the environment has no variable NOPE: set it'],
    [transport('socket: /a/${1}'), 'bb.yaml:6:15: "${1}" is not a variable: write it as ${NAME}'],
    [transport('socket: "${A"'), 'bb.yaml:6:15: "${A" is not a variable: write it as ${NAME}'],
    [
      target('volumes: [{ size: 512MB }]'),
      'bb.yaml:3:23: targets[0].volumes[0].size is "512MB": it must be a size in bytes, or with a unit B, KiB, MiB, GiB, TiB or PiB, such as 512MiB',
    ],
    [
      target('volumes: [{ blockSize: 512 }]'),
      'bb.yaml:3:15: targets[0].volumes[0].size is missing: add a size in bytes, or with a unit B, KiB, MiB, GiB, TiB or PiB, such as 512MiB',
    ],
    [
      target('volumes: [{ size: 1, blockSize: 1 }]'),
      'bb.yaml:3:37: targets[0].volumes[0].blockSize is 1: it must be 512 or 4096',
    ],
    [target('ports: 0'), 'bb.yaml:3:12: targets[0].ports is 0: it must be a number of ports, or a list of them'],
    [
      'targets: [{ use: iscsi }]\ndevices: [{volume: x, transport: {use: x}}]',
      'bb.yaml:1:11: targets[0].portals is missing: add a list of host, host:port or [v6]:port such as [192.0.2.1:3260]',
    ],
    [
      'targets: [{ use: iscsi, portals: [a], isid: fixed }]\ndevices: [{volume: x, transport: {use: x}}]',
      'bb.yaml:1:45: targets[0].isid is "fixed": it must be stable or random',
    ],
    [
      'targets: [{ use: iscsi, portals: [a], initiator: host1 }]\ndevices: [{volume: x, transport: {use: x}}]',
      'bb.yaml:1:50: targets[0].initiator is "host1": it must be an iSCSI name such as iqn.2026-11.io.example:array',
    ],
    [
      'targets: [{ use: iscsi, portals: [a], keepAliveTimout: 5s }]\ndevices: [{volume: x, transport: {use: x}}]',
      'bb.yaml:1:39: targets[0].keepAliveTimout is not a known option: did you mean keepAliveTimeout?',
    ],
    [target('use: iscsi'), 'bb.yaml:3:5: not valid YAML: Map keys must be unique'],
    [
      'targets: [a\n',
      'bb.yaml:2:1: not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
  ])('%j', (text, message) => {
    expect(messageOfBad(text)).toBe(`ConfigError: ${message}`)
  })

  const right = `it must be "*", a volume's identity such as naa.6001405…, or a path's id: "blockbraid discover URL" lists them`

  it.each([
    [device('multipath: { noPathTimeout: 30 }'), '6:33: devices[0].multipath.noPathTimeout is 30: write 30s, or 30ms'],
    [device('multipath: { ioTimeout: 999 }'), '6:29: devices[0].multipath.ioTimeout is 999: write 999s, or 999ms'],
    [device('multipath: { reconnectDelay: 5 }'), '6:34: devices[0].multipath.reconnectDelay is 5: write 5s, or 5ms'],
    [transport('takeOverTimeout: 120'), '6:24: devices[0].transport.takeOverTimeout is 120: write 120s, or 120ms'],
    [
      target('use: iscsi').replace('  - use: memory\n', '  - portals: [a]\n    keepAliveInterval: 60\n'),
      '3:24: targets[0].keepAliveInterval is 60: write 60s, or 60ms',
    ],
    // As it stands in one place for two.
    [
      device(
        'multipath: &m { noPathTimeout: 0.5s }\n  - { volume: eui.b, transport: { use: nbd }, multipath: *m, name: 7 }',
      ),
      '7:68: devices[1].name is 7: it must be a name such as vol-{n}',
    ],
    [device('').replace('"*"', 'sda'), `4:13: devices[0].volume is "sda": ${right}`],
    [device('').replace('"*"', '/dev/mapper/mpatha'), `4:13: devices[0].volume is "/dev/mapper/mpatha": ${right}`],
    [
      device('').replace('"*"', '/dev/disk/by-id/wwn-0x6001405aabbccddeeff0011223344556'),
      '4:13: devices[0].volume is "/dev/disk/by-id/wwn-0x6001405aabbccddeeff0011223344556": write naa.6001405aabbccddeeff0011223344556',
    ],
  ])('%j is a slip that is refused with what would be right', (text, message) => {
    expect(messageOfBad(text)).toBe(`ConfigError: bb.yaml:${message}`)
  })

  it('tells of a number of seconds, or milliseconds, that may be the other', () => {
    const told: string[] = []
    const multipath = 'multipath: { noPathTimeout: 3600, ioTimeout: 90000, connectTimeout: 0, reconnectDelayMax: 1h }'
    const { devices } = parseConfig(device(multipath), 'bb.yaml', env, (line) => told.push(line))
    expect(devices[0]?.multipath).toEqual({
      noPathTimeout: 3600,
      ioTimeout: 90_000,
      connectTimeout: 0,
      reconnectDelayMax: 3_600_000,
    })
    expect(told).toEqual([
      'bb.yaml:6:33: devices[0].multipath.noPathTimeout is 3600, taken as 3600ms: write 3600ms, or 3600s',
    ])
  })

  it.each([
    ['the-disk', right],
    ['sda', right],
    ['NAA.6001405AABBCCDDEEFF0011223344556', 'write naa.6001405aabbccddeeff0011223344556'],
    ['36001405aabbccddeeff0011223344556', 'write naa.6001405aabbccddeeff0011223344556'],
  ])('names no volume: %s', async (volume, cure) => {
    const transport = { use: 'nbd', options: {} }
    const starting = runAgent({
      folder: tmpdir(),
      targets: [],
      devices: [{ volume, name: 'x', transport, at: 'a:1:1' }],
    })
    await expect(starting).rejects.toThrow(`a:1:1: volume is "${volume}": ${cure}`)
  })

  it('leaves the options of plugins that it does not know alone', () => {
    const text =
      'targets: [{ use: ./a.ts, size: 5 cm }]\ndevices: [{ volume: x, transport: { use: other, deep: { kernel: auto } } }]'
    const config = parse(text)
    expect(config.targets[0]?.options).toEqual({ size: '5 cm' })
    expect(config.devices[0]?.transport.options).toEqual({ deep: { kernel: 'auto' } })
  })

  it('knows every option that the plugins beside it have, by the same name', async () => {
    const text = `targets:
  - use: memory
    name: a
    initiator: host1
    volumes: [{ size: 1MiB, blockSize: 512, id: naa.6001405000000000000000000000abcd, writeCache: false, readOnly: true }]
    controllers: 1
    ports: [{ controller: 0, latency: { base: 1, jitter: 2 }, queueDepth: 4 }]
    latency: { base: 0 }
    queueDepth: 8
    maxTransfer: 1MiB
    fenceDelay: 5
    log: true
  - use: iscsi
    portals: [127.0.0.1:3260, "[::1]:3260", array.example]
    target: iqn.2026-11.io.example:array
    luns: [0, 300]
    name: b
    initiator: iqn.2026-11.io.example:host1
    chap: { user: alice, secret: \${CHAP_SECRET}, algorithms: [sha256, md5], target: { user: array, secret: other secret } }
    discoveryChap: { user: bob, secret: \${CHAP_SECRET} }
    headerDigest: true
    dataDigest: prefer
    immediateData: false
    initialR2T: true
    firstBurstLength: 64KiB
    maxBurstLength: 256KiB
    maxRecvDataSegmentLength: 8KiB
    maxOutstandingR2T: 2
    queueDepth: 32
    maxTransfer: 512KiB
    keepAliveInterval: 2s
    keepAliveTimeout: 3s
    loginTimeout: 15s
    taskTimeout: 500ms
    pollInterval: 1m
    localAddress: 127.0.0.1
    sessionPerLun: true
    toldPortals: false
    isid: random
    fence: lun-reset
  - use: "@blockbraid/target-iscsi"
    portals: [127.0.0.2]
    discoveryChap: false
  - use: nvmeof
    portals: [127.0.0.1, "[::1]:4421", array.example:4420]
    subsystem: nqn.2026-11.io.example:array
    namespaces: [1, 300]
    name: c
    hostNqn: nqn.2026-11.io.example:host1
    hostId: 6b1d2c58-0b6e-4f0b-9d0e-1f5a7c9e2d34
    queues: 2
    queueDepth: 32
    maxTransfer: 512KiB
    headerDigest: true
    dataDigest: true
    keepAliveTimeout: 2s
    quiesceTime: 0
    connectTimeout: 3s
    commandTimeout: 4s
    pollInterval: 1m
    localAddress: 127.0.0.1
    toldPortals: [127.0.0.0/8]
    maxToldPortals: 3
    dhchap: { secret: "\${DHCHAP}", hashes: [sha256], groups: [ffdhe2048, "null"] }
  - use: "@blockbraid/target-nvmeof"
    portals: [127.0.0.1]
devices:
  - volume: "*"
    policy: { use: round-robin, minIos: 2 }
    transport: { use: nbd, host: 127.0.0.1, port: 0, tls: { cert: a, key: b, ca: c, requireClientCert: true, required: true },
      readOnly: true, simpleReplies: true, maxConnections: 5, maxRequests: 6, maxInflightBytes: 1MiB, handshakeTimeout: 5s, socketMode: 0o660 }
  - volume: x
    policy: { use: queue-depth }
    transport: { use: nbd, socket: /tmp/x, kernel: auto, connections: 2, takeOverTimeout: 2m, resendInterval: 2s,
      requestTimeout: 40s, partitions: true, rotational: true }
  - volume: y
    policy: { use: queue-depth }
    transport: { use: nbd, kernel: true }
  - volume: z
    transport: { use: ublk, queues: 2, depth: 64, maxTransfer: 1MiB, takeOverTimeout: 2m, unprivileged: true, partitions: true }
`
    // From a folder where no package is installed: those of this repository are taken from their sources.
    const { folder, targets, devices } = parseConfig(text, join(tmpdir(), 'bb.yaml'), env)
    const target = await loadTarget(targets[0]!, folder, systemHost)
    expect(await target.discover()).toMatchObject([{ volume: 'naa.6001405000000000000000000000abcd', size: 2 ** 20 }])
    await target.close()
    expect(targets[1]?.options).toMatchObject({
      chap: { secret: env.CHAP_SECRET, target: { secret: 'other secret' } },
      firstBurstLength: 65536,
      maxTransfer: 512 * 1024,
      keepAliveInterval: 2000,
      taskTimeout: 500,
      pollInterval: 60_000,
    })
    for (const other of targets.slice(1)) await (await loadTarget(other, folder, systemHost)).close()
    for (const { policy, transport } of devices) {
      if (policy !== undefined) await loadPolicy(policy, folder, systemHost)
      await (await loadTransport(transport, folder, systemHost))(transport.options).close()
    }
    expect(devices[0]?.transport.options).toMatchObject({
      socketMode: 0o660,
      handshakeTimeout: 5000,
      maxInflightBytes: 2 ** 20,
    })
    expect(devices.at(-1)?.transport.options).toMatchObject({ maxTransfer: 2 ** 20, takeOverTimeout: 120_000 })
  })

  it('gives the iSCSI name of this host to targets that take it, and not to those of NVMe', () => {
    const config = parse(`initiator: iqn.2026-11.io.example:host1
targets: [{ use: iscsi, portals: [a] }, { use: nvmeof, portals: [a] }, { use: "@blockbraid/target-nvmeof", portals: [a] }]
devices: [{ volume: "*", transport: { use: nbd, port: 0 } }]
`)
    expect(config.targets.map(({ options }) => options['initiator'])).toEqual([
      'iqn.2026-11.io.example:host1',
      undefined,
      undefined,
    ])
  })

  it("reads the README's example", async () => {
    const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
    const example = /```yaml\n(.*?)```/s.exec(readme)?.[1]
    expect(parse(example!).devices[0]?.multipath).toEqual({ noPathTimeout: 30_000 })
  })

  it('keeps the text of a variable a text where a text is wanted', () => {
    const config = parse(device('name: ${PORT}'))
    expect(config.devices[0]?.name).toBe('10810')
  })
})

describe('config files', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bb-config-'))
  afterAll(() => rm(folder, { recursive: true }))

  it('are named when they are not there, are folders, or are too large', async () => {
    await expect(loadConfig(join(folder, 'no.yaml'))).rejects.toThrow(`there is no file ${folder}/no.yaml`)
    await expect(loadConfig(folder)).rejects.toThrow(`cannot read ${folder}: `)
    await writeFile(join(folder, 'large.yaml'), `# ${'x'.repeat(2 ** 20)}`)
    await expect(loadConfig(join(folder, 'large.yaml'))).rejects.toThrow(`${folder}/large.yaml:1:1: larger than 1 MiB`)
  })
})

describe('units', () => {
  it.each([
    [0, 0],
    [4096, 4096],
    ['512B', 512],
    ['4KiB', 4096],
    ['1.5 MiB', 1_572_864],
    ['8PiB', undefined],
    ['4PiB', 2 ** 52],
    ['0.3B', undefined],
    ['12', undefined],
    ['12MB', undefined],
    ['-1KiB', undefined],
    [-1, undefined],
    [1.5, undefined],
    [Number.NaN, undefined],
    [null, undefined],
  ])('size %j is %j', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes)
  })

  it.each([
    [1500, 1500],
    ['30s', 30_000],
    ['500ms', 500],
    ['0.5 s', 500],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['0.0001ms', undefined],
    ['30', undefined],
    ['s', undefined],
    ['1d', undefined],
  ])('duration %j is %j', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds)
  })
})
