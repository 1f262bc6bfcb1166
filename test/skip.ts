/** What a test needs and this machine lacks is found out at run time, and said. */

/** Ends the test, or all that its hook is for, as skipped, where `why` says what is missing. */
export function skipIf(context: Mocha.Context, why: string | undefined): void {
  if (why === undefined) return;
  console.log(`      skipped: ${why}`);
  context.skip();
}
