/**
 * The only door to the FFI binding (checked by scripts/check-imports), so that it can be exchanged. Each function is
 * declared with its C signature; nothing here decides anything.
 */
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');

/** libc, as declared in the headers of glibc. Each returns −1 on failure; ask `errno()` before anything else runs. */
export const c = {
  setns: libc.func('int setns(int fd, int nstype)') as unknown as (fd: number, nstype: number) => number,
  socket: libc.func('int socket(int domain, int type, int protocol)') as unknown as (
    domain: number, type: number, protocol: number) => number,
  bind: libc.func('int bind(int fd, const uint8_t *address, uint32_t length)') as unknown as (
    fd: number, address: Uint8Array, length: number) => number,
  connect: libc.func('int connect(int fd, const uint8_t *address, uint32_t length)') as unknown as (
    fd: number, address: Uint8Array, length: number) => number,
  close: libc.func('int close(int fd)') as unknown as (fd: number) => number,
  getsockopt: libc.func('int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *length)') as
    unknown as (fd: number, level: number, name: number, value: Uint8Array, length: [number]) => number,
  setsockopt: libc.func('int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t length)') as
    unknown as (fd: number, level: number, name: number, value: Uint8Array, length: number) => number,
};

/** errno of the last call of this thread through this door. */
export function errno(): number {
  return koffi.errno();
}

/** `ECONNREFUSED` for 111; the number as text where it has no name. */
export function errnoName(code: number): string {
  const found = Object.entries(koffi.os.errno as Record<string, number>).find(([, value]) => value === code);
  return found?.[0] ?? `errno ${code}`;
}
