/**
 * A simulated NVMe/TCP array over real sockets, with faults on the wire, for tests of initiators.
 * @packageDocumentation
 */
export {}
