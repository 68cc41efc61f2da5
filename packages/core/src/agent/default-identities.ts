import type { PathInfo } from '../target.ts'

interface DefaultIdentity {
  /** What makes it, for messages. */
  readonly maker: string
  readonly id: RegExp
  /** How {@link PathInfo.product} begins, where the identity alone does not tell. */
  readonly product?: string
}

/**
 * Identities that target software makes of what every installation has, so that equal ones say nothing across storage
 * systems. Which are made of what stands in the sources that are named. They are known here and not to the targets: one
 * that did not know them, of whatever protocol, would join the disks of strangers.
 */
const defaults: readonly DefaultIdentity[] = [
  // tgt, usr/spc.c, spc_lu_init and update_vpd_83: the T10 id "IET     TTTTLLLL" of target id and LUN; an NAA 6 made of
  // the hex digits of that text, in which every other letter counts as 0; an NAA 3 of target id and LUN.
  { maker: 'tgt', id: /^naa\.60{15}0e0{6}[0-9a-f]{8}$/ },
  { maker: 'tgt', id: /^naa\.30{3}[0-9a-f]{4}0{4}[0-9a-f]{4}$/ },
  // The iSCSI Enterprise Target has the same vendor and makes its T10 id of numbers, too.
  { maker: 'tgt', id: /^t10\.IET {5}/ },
  // A scsi_id that was set: its NAA 6 has lost all letters that are no hex digits; company id 0 gives tgt away.
  { maker: 'tgt', id: /^naa\.60{7}/, product: 'IET ' },
  // gotgt, pkg/scsi, InitLu: target id and LUN.
  { maker: 'gotgt', id: /^t10\.GOSTOR/ },
  // SPDK, lib/scsi/scsi_bdev.c, bdev_scsi_set_naa_ieee_extended: NAA 2 of Intel made of the first 16 letters of the
  // bdev's name; the T10 id is vendor, product and that name.
  { maker: 'SPDK', id: /^naa\.2[0-9a-f]{3}000347[0-9a-f]{6}$/ },
  { maker: 'SPDK', id: /^t10\.INTEL {3}/ },
  // SCST, vdisk_gen_dev_id_num: the T10 id is a setup id, 0 by default, and a CRC of the device's name; the EUI-64 is
  // made of the first 8 letters of it, which are hex digits in ASCII.
  { maker: 'SCST', id: /^eui\.(3[0-9]|6[1-6]|2d){8}$/ },
  { maker: 'SCST', id: /^t10\.SCST_/ },
  // FreeBSD's CTL, ctl_backend_block.c and ctl_backend_ramdisk.c: MYDEVID and the number of the LUN.
  { maker: 'CTL', id: /^(t10|serial)\..*(MYDEVID|MYSERIAL) *\d+/ },
  // istgt, istgt_lu_disk.c: a CRC of the target's name and LUN under a company id that belongs to nobody.
  { maker: 'istgt', id: /^naa\.[56]acde48/ },
]

/** The software that makes such an identity by default; undefined where it counts. */
export function madeByDefault({ volume, product = '' }: Pick<PathInfo, 'volume' | 'product'>): string | undefined {
  return defaults.find((one) => one.id.test(volume) && product.startsWith(one.product ?? ''))?.maker
}
