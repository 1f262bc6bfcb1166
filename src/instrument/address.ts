/**
 * Where code inside of a service speaks to: beside koala's helper address (port 127, where nobody is found to receive). Datagrams to
 * it are read by the recorder in the kernel too (`ASKED_PORT` in bpf/datagram.h), and somebody must hold it.
 */
export const ASKED = { host: '127.127.127.127', port: 128 } as const;
