import type {
  BlockLimits,
  Capacity,
  Characteristics,
  Designator,
  Inquiry,
  LunList,
  PortGroups,
  Provisioning,
  Vpd,
} from '@blockbraid/target-iscsi'
import { Association, deviceTypeName } from '@blockbraid/target-iscsi'
import { formatSize } from '../text/amounts.ts'
import { dump, facts } from '../text/facts.ts'

type Facts = (readonly [name: string, value: string])[]

const qualifiers = ['', ', not connected', '', ', not possible']
const tpgs = ['no', 'implicit', 'explicit', 'implicit and explicit']

/** Standard INQUIRY data for people. */
export function inquiryLines(inquiry: Inquiry, width: number): readonly string[] {
  const { type, qualifier, vendor, product, revision, version } = inquiry
  return facts(
    [
      ['device', `${deviceTypeName(type)}${qualifiers[qualifier] ?? `, qualifier ${qualifier}`}`],
      ['vendor', vendor],
      ['product', product],
      ['revision', revision],
      ['standard', version < 3 ? `version ${version}` : `SPC-${version - 2}`],
      ['asymmetric access', tpgs[inquiry.tpgs] ?? ''],
      ['third-party copy', yes(inquiry.thirdPartyCopy)],
      ['protection', yes(inquiry.protect)],
    ],
    width,
  )
}

/** A page of vital product data for people. */
export function vpdLines(vpd: Vpd, width: number): readonly string[] {
  if ('supported' in vpd) return facts([['pages', vpd.supported.map(hexByte).join(' ')]], width)
  if ('serial' in vpd) return facts([['serial', vpd.serial.text]], width)
  if ('designators' in vpd) return facts(vpd.designators.map(designatorFact), width)
  if ('limits' in vpd) return facts(limitFacts(vpd.limits), width)
  if ('characteristics' in vpd) return facts(characteristicFacts(vpd.characteristics), width)
  if ('provisioning' in vpd) return facts(provisioningFacts(vpd.provisioning), width)
  return dump(vpd.bytes)
}

const associations = new Map<number, string>([
  [Association.LogicalUnit, 'volume'],
  [Association.TargetPort, 'port'],
  [Association.TargetDevice, 'target'],
])

function designatorFact({ association, text }: Designator): readonly [string, string] {
  return [associations.get(association) ?? `association ${association}`, text]
}

function limitFacts(limits: BlockLimits): Facts {
  const blocks = (count: number): string => (count === 0 ? 'not told' : `${count} blocks`)
  return [
    ['longest transfer', blocks(limits.maxTransfer)],
    ['best transfer', blocks(limits.optimalTransfer)],
    ['granularity', blocks(limits.optimalGranularity)],
    ['longest unmap', blocks(limits.maxUnmapBlocks)],
    ['unmap ranges', limits.maxUnmapDescriptors === 0 ? 'not told' : String(limits.maxUnmapDescriptors)],
    ['unmap granularity', blocks(limits.unmapGranularity)],
    ['unmap alignment', limits.unmapAlignment === undefined ? 'not told' : `block ${limits.unmapAlignment}`],
    ['longest write same', blocks(limits.maxWriteSame)],
    ['write same of 0', limits.wsnz ? 'refused' : 'to the end'],
    ['compare and write', blocks(limits.maxCompareAndWrite)],
  ]
}

function characteristicFacts({ rotationRate, zoned }: Characteristics): Facts {
  const rotation = rotationRate === 1 ? 'none' : rotationRate === 0 ? 'not told' : `${rotationRate} a minute`
  return [
    ['rotation', rotation],
    ['zones', ['not told', 'host-aware', 'device-managed'][zoned] ?? `model ${zoned}`],
  ]
}

function provisioningFacts(provisioning: Provisioning): Facts {
  const { type, thresholdExponent } = provisioning
  return [
    ['provisioning', ['not told', 'resource', 'thin'][type] ?? `type ${type}`],
    ['unmap', yes(provisioning.lbpu)],
    ['write same (16)', yes(provisioning.lbpws)],
    ['write same (10)', yes(provisioning.lbpws10)],
    ['unmapped is zero', yes(provisioning.lbprz)],
    ['threshold set', thresholdExponent === 0 ? 'none' : `2 ** ${thresholdExponent} blocks`],
  ]
}

/** A list of LUNs for people: one a line. */
export function lunLines({ luns }: LunList): readonly string[] {
  return luns.length === 0 ? ['no LUNs'] : luns.map(({ name }) => name)
}

/** Target port groups for people. */
export function portGroupLines({ groups }: PortGroups, width: number): readonly string[] {
  if (groups.length === 0) return ['no target port groups']
  return groups.flatMap(({ group, access, preferred, ports, supports }, index) => [
    ...(index === 0 ? [] : ['']),
    ...facts(
      [
        ['group', String(group)],
        ['access', preferred ? `${access}, preferred` : access],
        ['ports', ports.join(' ')],
        ['can be', supports.join(', ')],
      ],
      width,
    ),
  ])
}

/** A capacity for people. */
export function capacityLines(capacity: Capacity, width: number): readonly string[] {
  const { size, blocks, blockSize, physicalBlockSize, alignedLba, thin, zeroes, protection } = capacity
  return facts(
    [
      ['size', `${formatSize(size)}, ${size} bytes`],
      ['blocks', `${blocks} of ${blockSize} bytes`],
      ['physical blocks', `${physicalBlockSize} bytes, the first at block ${alignedLba}`],
      ['thin', thin ? `yes, unmapped is ${zeroes ? 'zero' : 'undefined'}` : 'no'],
      ['protection', protection === 0 ? 'off' : `type ${protection}`],
    ],
    width,
  )
}

function hexByte(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`
}

function yes(one: boolean): string {
  return one ? 'yes' : 'no'
}
