/** Where LIO is configured. */
export const ROOT = '/sys/kernel/config/target'
