// Prints the symbols that a BPF object leaves undefined, one a line: `node scripts/bpf-undefined.mjs FILE`.
// Externs that libbpf resolves at load (__ksym, __kconfig) are named in the .ksyms and .kconfig sections of the object's
// BTF, and are no fault. Plain JavaScript, because it runs before anything is built.
// Formats: ELF-64 (System V ABI, "Symbol Table"); BTF (kernel Documentation/bpf/btf.rst).
import { readFileSync } from 'node:fs';

const file = readFileSync(process.argv[2] ?? '/dev/stdin');

/** Reads a NUL-terminated string. */
const text = (at) => file.toString('utf8', at, file.indexOf(0, at));

function sections() {
  if (file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1) throw new Error('no little-endian ELF-64 object');
  const table = Number(file.readBigUInt64LE(0x28));
  const [entry, count, names] = [file.readUInt16LE(0x3a), file.readUInt16LE(0x3c), file.readUInt16LE(0x3e)];
  const all = Array.from({ length: count }, (_, i) => {
    const at = table + i * entry;
    return {
      name: file.readUInt32LE(at),
      type: file.readUInt32LE(at + 4),
      offset: Number(file.readBigUInt64LE(at + 0x18)),
      size: Number(file.readBigUInt64LE(at + 0x20)),
      link: file.readUInt32LE(at + 0x28),
    };
  });
  const strings = all[names].offset;
  return all.map((s) => ({ ...s, name: text(strings + s.name) }));
}

/** Names of undefined symbols: section index 0 with a name. */
function undefinedSymbols(all) {
  const found = [];
  for (const table of all.filter((s) => s.type === 2 /* SHT_SYMTAB */)) {
    for (let at = table.offset; at < table.offset + table.size; at += 24) {
      const name = text(all[table.link].offset + file.readUInt32LE(at));
      if (name !== '' && file.readUInt16LE(at + 6) === 0) found.push(name);
    }
  }
  return found;
}

/** How many bytes follow a BTF type's 12-byte head, by kind. */
const tail = (kind, vlen) =>
  ({ 1: 4, 3: 12, 4: vlen * 12, 5: vlen * 12, 6: vlen * 8, 13: vlen * 8, 14: 4, 15: vlen * 12, 17: 4, 19: vlen * 12 })[kind] ?? 0;

/** The names in the BTF data sections .ksyms and .kconfig. */
function resolvedAtLoad(all) {
  const btf = all.find((s) => s.name === '.BTF');
  if (btf === undefined) return new Set();
  const header = file.readUInt32LE(btf.offset + 4);
  const types = btf.offset + header + file.readUInt32LE(btf.offset + 8);
  const end = types + file.readUInt32LE(btf.offset + 12);
  const strings = btf.offset + header + file.readUInt32LE(btf.offset + 16);
  const name = (at) => text(strings + file.readUInt32LE(at));
  const offsets = [0]; // by type id; 0 is void
  const members = [];
  for (let at = types; at < end; ) {
    offsets.push(at);
    const info = file.readUInt32LE(at + 4);
    const [kind, vlen] = [(info >>> 24) & 0x1f, info & 0xffff];
    if (kind === 15 /* DATASEC */ && ['.ksyms', '.kconfig'].includes(name(at))) {
      for (let i = 0; i < vlen; i++) members.push(file.readUInt32LE(at + 12 + i * 12));
    }
    at += 12 + tail(kind, vlen);
  }
  // libbpf wants them to be marked extern: a variable in the word behind its head, a function in the head's vlen.
  const external = (at) => {
    const info = file.readUInt32LE(at + 4);
    return ((info >>> 24) & 0x1f) === 14 /* VAR */ ? file.readUInt32LE(at + 12) === 2 : (info & 0xffff) === 2;
  };
  return new Set(members.map((id) => offsets[id]).filter(external).map(name));
}

const all = sections();
const known = resolvedAtLoad(all);
for (const symbol of undefinedSymbols(all)) if (!known.has(symbol)) console.log(symbol);
