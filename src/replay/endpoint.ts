/** What sessions have in common: `GET /orders/*` for `GET /orders/7` and `GET /orders/8?full=1`. */

/** A path segment that names one thing of many: it has a digit, or is long and no word. */
const isName = (segment: string): boolean => /\d/.test(segment) && !/^v\d+$/i.test(segment);

/** The summary of a request with what names one of many as `*`; as `of` in a noise rule it means all of them. */
export function endpointOf(summary: string): string {
  const mark = summary.indexOf('?');
  const path = mark < 0 ? summary : summary.slice(0, mark);
  const general = path.split('/').map((segment, at) => (at > 0 && isName(segment) ? '*' : segment)).join('/');
  return mark < 0 || general.endsWith('*') ? general : `${general}*`;
}
