/**
 * A simulated iSCSI array over real sockets, with faults on the wire, for tests of initiators.
 *
 * @packageDocumentation
 */

export {}
