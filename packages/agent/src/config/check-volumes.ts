import { isVolumeId } from '@blockbraid/core'
import type { DeviceConfig } from './config.ts'
import type { Source } from './source.ts'
import { ConfigError } from './source.ts'

/** Names of disks that a kernel gives out: they may be another disk's after each start. */
const diskName = /^(\/dev\/.*|(sd|vd|xvd|hd)[a-z]+\d*|(dm-|md|nbd|ublkb|loop)\d+|mpath[a-z]+|nvme\d+(n\d+)?)$/

/** Refuses names of disks of this host, which are no volumes of a target. Throws a {@link ConfigError}. */
export function checkDisks(devices: readonly DeviceConfig[], source: Source): void {
  for (const [index, { volume }] of devices.entries()) {
    if (!diskName.test(volume)) continue
    const meant = meantBy(volume)
    const place = source.locate(['devices', index, 'volume'])
    const cure = meant === undefined ? right : `write ${meant}`
    throw new ConfigError(`${place}: devices[${index}].volume is "${volume}": ${cure}`)
  }
}

/** Refuses what can be neither an identity nor a path's id. Throws a {@link ConfigError}. */
export function checkVolumes(devices: readonly DeviceConfig[]): void {
  for (const { volume, at } of devices) {
    const meant = isVolumeId(volume) ? undefined : meantBy(volume)
    if (meant === undefined && (volume === '*' || identity.test(volume) || pathId.test(volume))) continue
    const place = at === undefined ? '' : `${at}: `
    throw new ConfigError(`${place}volume is "${volume}": ${meant === undefined ? right : `write ${meant}`}`)
  }
}

/** The identity in another spelling: with capitals, or as udev (wwn-0x…) and dm-multipath (3…) have it. */
function meantBy(text: string): string | undefined {
  const plain = text.trim().toLowerCase()
  const [, hex] = /^(?:.*wwn-0x|0x|3)?([0-9a-f]{16}|[0-9a-f]{32})$/.exec(plain) ?? []
  return [plain, `naa.${hex}`].find(isVolumeId)
}

const identity = /^(naa|eui|uuid|t10|serial)\../
// It says where it leads: target, port, number.
const pathId = /^[^/].*[:/]/
const right = `it must be "*", a volume's identity such as naa.6001405…, or a path's id: "blockbraid discover URL" lists them`
