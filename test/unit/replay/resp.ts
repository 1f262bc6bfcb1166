/** A reader of whole Redis replies for tests: its own, on purpose. */
export function readReply(text: string): unknown {
  let at = 0;
  const line = (): string => { const end = text.indexOf('\r\n', at); const found = text.slice(at, end); at = end + 2; return found; };
  const value = (): unknown => {
    const head = line();
    const rest = head.slice(1);
    switch (head[0]) {
      case '+': return rest;
      case ':': return Number(rest);
      case '$': {
        if (rest === '-1') return null;
        const found = text.slice(at, at + Number(rest));
        at += Number(rest) + 2;
        return found;
      }
      case '*': return Array.from({ length: Number(rest) }, value);
      case '%': return new Map(Array.from({ length: Number(rest) }, () => [value(), value()] as const));
      default: throw new Error(`no reply: ${head}`);
    }
  };
  const found = value();
  if (at !== text.length) throw new Error(`${text.length - at} characters too many`);
  return found;
}
