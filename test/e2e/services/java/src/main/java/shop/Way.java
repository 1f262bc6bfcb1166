package shop;

/** How the calls of a request are made. */
interface Way {
  /** Makes them, `calls` being how many of the first kind, each with `rid` in it, and returns what came of them as JSON. */
  String answer(String rid, int calls) throws Exception;
}
